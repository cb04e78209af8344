package b2test

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Bucket is a bucket of the account.
type Bucket struct {
	// Name is 6 to 63 letters, digits and hyphens.
	Name string

	// ID is 24 hexadecimal digits; [Server.AddBucket] makes it up when it is empty.
	ID string

	// Public lets anyone download.
	Public bool

	// FileLock enables Object Lock: retention and legal holds.
	FileLock bool
}

// bucket is a bucket and what b2_update_bucket may set. The server's lock guards it.
type bucket struct {
	Bucket
	info        object
	lifecycle   any
	cors        any
	replication any
	sse         encryption // of versions that ask for none
	retention   defaultRetention
	revision    int
}

var (
	bucketNamePattern = regexp.MustCompile(`^[A-Za-z0-9-]{6,63}$`)
	bucketIDPattern   = regexp.MustCompile(`^[0-9a-f]{24}$`)
)

// AddBucket adds a bucket and returns it whole. The error says what is wrong
// with the name or the ID.
func (s *Server) AddBucket(b Bucket) (Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.ID == "" {
		b.ID = randomHex(24)
	}
	if !bucketIDPattern.MatchString(b.ID) || s.buckets[b.ID] != nil {
		return Bucket{}, fmt.Errorf("b2test: bucket ID %q is not 24 hexadecimal digits, or is taken", b.ID)
	}
	if err := s.addBucket(&bucket{Bucket: b}); err != nil {
		return Bucket{}, fmt.Errorf("b2test: bucket %q: %w", b.Name, err)
	}
	return b, nil
}

func (s *Server) addBucket(b *bucket) error {
	if !bucketNamePattern.MatchString(b.Name) {
		return badRequest("Bucket name must be 6 to 63 letters, digits and hyphens")
	}
	if s.bucketByName(b.Name) != nil {
		return badCode("duplicate_bucket_name", "Bucket name is already in use.")
	}
	b.revision = 2
	s.buckets[b.ID] = b
	return nil
}

// bucketFor finds a bucket and checks that the exchange's key may touch it. The lock is held.
func (x *exchange) bucketFor(id string) (*bucket, error) {
	b := x.s.buckets[id]
	if b == nil {
		return nil, errNoBucket(id)
	}
	if !x.token.key.mayBucket(id) {
		return nil, errUnauthorized()
	}
	return b, nil
}

// checkAccount refuses a call about another account than the token's.
func (x *exchange) checkAccount(id string) error {
	if id != x.s.account {
		return badRequest("Invalid accountId: %s", id)
	}
	return nil
}

func (b *bucket) kind() string {
	if b.Public {
		return "allPublic"
	}
	return "allPrivate"
}

// setting is a setting as answers show it: null to a key without the capability
// (documented).
func (x *exchange) setting(capability string, value any) object {
	if !x.token.key.may(capability) {
		return object{"isClientAuthorizedToRead": false, "value": nil}
	}
	return object{"isClientAuthorizedToRead": true, "value": value}
}

// bucketObject is a bucket as answers show it.
func (x *exchange) bucketObject(b *bucket) object {
	o := object{
		"accountId": x.s.account, "bucketId": b.ID, "bucketName": b.Name, "bucketType": b.kind(),
		"bucketInfo": object{}, "corsRules": list{}, "lifecycleRules": list{}, "options": list{"s3"},
		"defaultServerSideEncryption": x.setting("readBucketEncryption", b.sse.object()),
		"fileLockConfiguration": x.setting("readBucketRetentions", object{
			"defaultRetention": b.retention.object(), "isFileLockEnabled": b.FileLock,
		}),
		"replicationConfiguration": x.setting("readBucketReplications", b.replication),
		"revision":                 b.revision,
	}
	if b.info != nil {
		o["bucketInfo"] = b.info
	}
	if b.cors != nil {
		o["corsRules"] = b.cors
	}
	if b.lifecycle != nil {
		o["lifecycleRules"] = b.lifecycle
	}
	return o
}

// listBuckets answers buckets by name. A restricted key must ask for a bucket
// of its own (documented).
func (x *exchange) listBuckets() (any, error) {
	account, id, name := x.args.required("accountId"), x.args.optional("bucketId"), x.args.optional("bucketName")
	kinds := x.args.texts("bucketTypes")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	if slices.Contains(kinds, "all") && len(kinds) > 1 {
		return nil, badRequest("bucketTypes: all must stand alone")
	}
	for _, kind := range kinds {
		// documented
		if !slices.Contains([]string{"all", "allPublic", "allPrivate", "snapshot"}, kind) {
			return nil, badRequest("Invalid bucketTypes: %s", kind)
		}
	}
	if err := x.checkAccount(account); err != nil {
		return nil, err
	}
	if k := x.token.key; k.ids != nil {
		asked := id
		if b := x.s.bucketByName(name); asked == "" && b != nil {
			asked = b.ID
		}
		if !k.mayBucket(asked) {
			return nil, errUnauthorized()
		}
	}
	var found []*bucket
	for _, b := range x.s.buckets {
		kind := len(kinds) == 0 || kinds[0] == "all" || slices.Contains(kinds, b.kind())
		if kind && (id == "" || id == b.ID) && (name == "" || name == b.Name) {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b *bucket) int { return cmp.Compare(a.Name, b.Name) })
	buckets := list{}
	for _, b := range found {
		buckets = append(buckets, x.bucketObject(b))
	}
	return object{"buckets": buckets}, nil
}

func (x *exchange) createBucket() (any, error) {
	b := &bucket{Bucket: Bucket{ID: randomHex(24), Name: x.args.required("bucketName")}}
	account := x.args.required("accountId")
	x.args.required("bucketType")
	if err := errors.Join(x.bucketSettings(b), x.args.done()); err != nil {
		return nil, err
	}
	if err := x.checkAccount(account); err != nil {
		return nil, err
	}
	if x.token.key.ids != nil {
		return nil, errUnauthorized()
	}
	if err := x.s.addBucket(b); err != nil {
		return nil, err
	}
	return x.bucketObject(b), nil
}

func (x *exchange) updateBucket() (any, error) {
	account, id := x.args.required("accountId"), x.args.required("bucketId")
	revision := x.args.number("ifRevisionIs", 0, 0, 1<<31)
	if err := x.args.err; err != nil {
		return nil, err
	}
	if err := x.checkAccount(account); err != nil {
		return nil, err
	}
	b, err := x.bucketFor(id)
	if err != nil {
		return nil, err
	}
	if revision != 0 && revision != int64(b.revision) {
		return nil, &apiError{status: 409, code: "conflict", message: "Bucket was changed"}
	}
	changed := *b
	if err := errors.Join(x.bucketSettings(&changed), x.args.done()); err != nil {
		return nil, err
	}
	changed.revision++
	*b = changed
	return x.bucketObject(b), nil
}

func (x *exchange) deleteBucket() (any, error) {
	account, id := x.args.required("accountId"), x.args.required("bucketId")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	if err := x.checkAccount(account); err != nil {
		return nil, err
	}
	b, err := x.bucketFor(id)
	if err != nil {
		return nil, err
	}
	if len(x.s.versions(b)) > 0 {
		return nil, badCode("cannot_delete_non_empty_bucket", "Cannot delete non-empty bucket")
	}
	delete(x.s.buckets, id)
	return x.bucketObject(b), nil
}
