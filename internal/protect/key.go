// Package protect has what protects files alike in several stores: the keys that
// callers encrypt files with at the server (SSE-C), 32 bytes of AES-256, sent in
// base64 with their MD5, and never shown; and Object Lock.
package protect

import (
	"crypto/fips140"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice/internal/secret"
)

// Algorithm is what a key is sent for.
const Algorithm = "AES256"

// Key is a customer's key. The zero value is none.
type Key struct{ secret secret.Value[[32]byte] }

// NewKey keeps a copy of the key.
func NewKey(key []byte) (Key, error) {
	if len(key) != 32 {
		return Key{}, fmt.Errorf("customer key of %d bytes; AES-256 takes 32", len(key))
	}
	return Key{secret.New([32]byte(key))}, nil
}

// Given tells whether there is a key.
func (k Key) Given() bool { return k.secret.Given() }

// Base64 is the key and its MD5, as they are sent. There must be a key.
func (k Key) Base64() (key, sum string) {
	plain := k.secret.Reveal()
	var digest [md5.Size]byte
	// the store's check of what came, no security
	fips140.WithoutEnforcement(func() { digest = md5.Sum(plain[:]) })
	return base64.StdEncoding.EncodeToString(plain[:]), base64.StdEncoding.EncodeToString(digest[:])
}

// Set sets the three headers that carry the key, if there is one. prefix is the
// store's: "X-Amz-", "X-Bz-".
func (k Key) Set(h http.Header, prefix string) {
	if !k.Given() {
		return
	}
	key, sum := k.Base64()
	prefix += "Server-Side-Encryption-Customer-"
	h.Set(prefix+"Algorithm", Algorithm)
	h.Set(prefix+"Key", key)
	h.Set(prefix+"Key-Md5", sum)
}

// Secrets are what must be cut from errors.
func (k Key) Secrets() []string {
	if !k.Given() {
		return nil
	}
	key, _ := k.Base64()
	return []string{key}
}
