package b2test

import (
	"maps"
	"net/http"
	"time"
)

// tokenKind tells what a token is good for.
type tokenKind string

const (
	accountToken  tokenKind = "acct"
	fileURLToken  tokenKind = "upld"
	partURLToken  tokenKind = "uplg"
	downloadToken tokenKind = "dnld"
)

// token is a credential the server gave out. The server's lock guards it.
type token struct {
	text    string
	kind    tokenKind
	key     *Key
	issued  time.Time
	life    time.Duration
	expired bool // by force

	path string // of an upload URL, without the host
	file *file  // of a part URL
	busy bool   // an upload through the URL is under way
	dead bool   // the URL refused an upload

	bucket *bucket // of an upload_file URL or a download authorization
	prefix string  // of a download authorization
}

// issue makes a token with the lock held.
func (s *Server) issue(kind tokenKind, k *Key) *token {
	t := &token{kind: kind, key: k, issued: s.Now(), life: tokenLifetime}
	if kind == downloadToken {
		t.text = newDownloadToken(t.issued)
	} else {
		t.text = newToken(k.internal, string(kind))
	}
	s.tokens[t.text] = t
	return t
}

// over reports whether t has ended. A token ends with its key at the latest.
func (t *token) over(now time.Time) bool {
	return t.expired || !now.Before(t.issued.Add(t.life)) || t.key.over(now)
}

// ExpireAccountTokens ends every account token given out so far: its next use
// answers expired_auth_token.
func (s *Server) ExpireAccountTokens() {
	s.expire(func(t *token) bool { return t.kind == accountToken })
}

// ExpireUploadTokens ends every upload URL given out so far: its next use
// answers expired_auth_token.
func (s *Server) ExpireUploadTokens() {
	s.expire(func(t *token) bool { return t.kind == fileURLToken || t.kind == partURLToken })
}

func (s *Server) expire(which func(*token) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if which(t) {
			t.expired = true
		}
	}
}

// authorize finds the account token of an API call and checks the capability
// that the call asks for.
func (x *exchange) authorize() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if err := x.account(x.r.Header.Get("Authorization")); err != nil {
		return err
	}
	if x.call.capability != "" && !x.token.key.may(x.call.capability) {
		return errUnauthorized()
	}
	return nil
}

// account makes text, an account token, the exchange's token. The lock is held.
func (x *exchange) account(text string) error {
	if text == "" {
		return errMissingToken()
	}
	t := x.s.tokens[text]
	switch {
	case t == nil || t.kind != accountToken:
		return errBadToken()
	case x.fault.Kind == ExpireToken:
		t.expired = true
	}
	if t.over(x.s.Now()) {
		return errExpiredToken()
	}
	x.token = t
	return nil
}

// mayTouch checks a key's restriction to buckets and to a prefix.
func (k *Key) mayTouch(f *file) error {
	if !k.mayBucket(f.bucket.ID) || !k.mayName(f.name) {
		return errUnauthorized()
	}
	return nil
}

// authorizeAccount logs in and answers in the shape of the version asked for.
func (x *exchange) authorizeAccount() (any, error) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.ledger.authorized(x.s.Now())
	id, secret, ok := x.r.BasicAuth()
	k := x.s.keyByID(id)
	if !ok || k == nil || k.Secret != secret || k.over(x.s.Now()) {
		code := "bad_auth_token"
		if x.s.opts.Uncertain.LoginUnauthorized {
			code = "unauthorized"
		}
		return nil, &apiError{status: http.StatusUnauthorized, code: code}
	}
	if x.version < 4 && (k.MultiBucket && len(k.ids) > 0 || len(k.ids) > 1) {
		return nil, badRequest("This request is not currently supported on API version number %d", x.version)
	}
	return x.authorization(k, x.s.issue(accountToken, k)), nil
}

// authorization is the answer to authorize: versions 1 and 2 are flat, 3 nests
// it, 4 lists buckets (documented).
func (x *exchange) authorization(k *Key, t *token) object {
	var prefix any
	if k.NamePrefix != "" {
		prefix = k.NamePrefix
	}
	capabilities := list{}
	for _, c := range k.Capabilities {
		capabilities = append(capabilities, c)
	}
	var bucketID, bucketName, buckets any
	if len(k.ids) > 0 {
		bucketID, bucketName = k.ids[0], x.s.bucketName(k.ids[0])
		all := list{}
		for _, id := range k.ids {
			all = append(all, object{"id": id, "name": x.s.bucketName(id)})
		}
		buckets = all
	}
	storage := object{
		"absoluteMinimumPartSize": x.s.opts.MinPartSize,
		"apiUrl":                  x.s.urls[apiHost],
		"downloadUrl":             x.s.urls[downloadHost],
		"recommendedPartSize":     x.s.opts.RecommendedPartSize,
		"s3ApiUrl":                x.s.urls[apiHost],
	}
	allowed := object{"capabilities": capabilities, "namePrefix": prefix}
	top := object{"accountId": x.s.account, "authorizationToken": t.text}
	if x.version < 3 {
		allowed["bucketId"] = bucketID
		if x.version == 2 {
			allowed["bucketName"] = bucketName
		} else {
			top["minimumPartSize"] = x.s.opts.RecommendedPartSize
		}
		maps.Copy(top, storage)
		top["allowed"] = allowed
		return top
	}
	if x.version == 3 {
		maps.Copy(storage, allowed)
		storage["bucketId"], storage["bucketName"], storage["infoType"] = bucketID, bucketName, "storageApi"
	} else {
		allowed["buckets"] = buckets
		storage["allowed"] = allowed
	}
	top["apiInfo"] = object{"storageApi": storage}
	top["applicationKeyExpirationTimestamp"] = k.expiration()
	return top
}
