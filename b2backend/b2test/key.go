package b2test

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key is an application key.
type Key struct {
	// ID and Secret are what a client logs in with; [Server.AddKey] makes up the empty ones.
	ID, Secret string

	// Capabilities are what the key may do, by the service's names (writeFiles,
	// listFiles, …); nil means everything.
	Capabilities []string

	// Buckets are the names of the only buckets the key may touch; nil means all.
	Buckets []string

	// NamePrefix is what every file name the key may touch starts with.
	NamePrefix string

	// MultiBucket says that the key was made by version 4 of b2_create_key with a
	// restriction to buckets. It cannot log in on versions 1 to 3 (reported), nor
	// can a key of several buckets.
	MultiBucket bool

	// Name is what b2_create_key called it.
	Name string

	// Expires is when the key and its tokens end; zero means never.
	Expires time.Time

	internal string   // 25 characters, inside tokens
	ids      []string // of Buckets, at the time of AddKey
}

// allCapabilities returns what the key made at start has: the documented
// capabilities.
func allCapabilities() []string {
	return append(bucketCapabilities(), "listKeys", "writeKeys", "deleteKeys")
}

// bucketCapabilities returns those that a key may have that is restricted to
// buckets (documented).
func bucketCapabilities() []string {
	return []string{
		"listAllBucketNames", "listBuckets", "readBuckets", "writeBuckets", "deleteBuckets", "listFiles", "readFiles",
		"shareFiles", "writeFiles", "deleteFiles", "readBucketEncryption", "writeBucketEncryption",
		"readBucketRetentions", "writeBucketRetentions", "readBucketReplications", "writeBucketReplications",
		"readBucketNotifications", "writeBucketNotifications", "readFileRetentions", "writeFileRetentions",
		"readFileLegalHolds", "writeFileLegalHolds", "bypassGovernance",
	}
}

func (k *Key) may(capability string) bool { return slices.Contains(k.Capabilities, capability) }

// over reports whether k has expired.
func (k *Key) over(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// expiration is when k expires, in milliseconds; null means never.
func (k *Key) expiration() any {
	if k.Expires.IsZero() {
		return nil
	}
	return k.Expires.UnixMilli()
}

func (k *Key) mayBucket(id string) bool { return k.ids == nil || slices.Contains(k.ids, id) }

func (k *Key) mayName(name string) bool { return strings.HasPrefix(name, k.NamePrefix) }

// AddKey adds a key to the account and returns it whole. The error names a bucket
// that does not exist or an ID that does.
func (s *Server) AddKey(k Key) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addKey(k)
}

// addKey is AddKey with the lock held.
func (s *Server) addKey(k Key) (Key, error) {
	s.keysMade++
	k.internal = fmt.Sprintf("002%s%010d", s.account, s.keysMade)
	if k.ID == "" {
		k.ID = k.internal
	}
	if k.Secret == "" {
		k.Secret = "K002" + randomHex(27)
	}
	k.Capabilities = slices.Clone(k.Capabilities)
	if k.Capabilities == nil {
		k.Capabilities = allCapabilities()
	}
	if s.keyByID(k.ID) != nil {
		return Key{}, fmt.Errorf("b2test: key ID %q exists", k.ID)
	}
	k.Buckets = slices.Clone(k.Buckets)
	k.ids = nil
	for _, name := range k.Buckets {
		b := s.bucketByName(name)
		if b == nil {
			return Key{}, fmt.Errorf("b2test: no bucket %q", name)
		}
		k.ids = append(k.ids, b.ID)
	}
	stored := k
	s.keys = append(s.keys, &stored)
	return k, nil
}

// RemoveKey ends a key, and with it its tokens and upload URLs, as its deletion
// or its expiry does. The error names an ID that no key has.
func (s *Server) RemoveKey(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keyByID(id); k != nil {
		s.removeKey(k)
		return nil
	}
	return fmt.Errorf("b2test: no key %q", id)
}

// removeKey is RemoveKey with the lock held.
func (s *Server) removeKey(k *Key) {
	s.keys = slices.DeleteFunc(s.keys, func(other *Key) bool { return other == k })
	for _, t := range s.tokens {
		if t.key == k {
			t.expired = true
		}
	}
}
