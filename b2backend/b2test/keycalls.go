package b2test

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

const maxKeyLife = 1000 * 24 * time.Hour // documented

var keyNamePattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`) // documented

// createKey makes an application key. Version 4 restricts it by bucketIds, the
// older versions by bucketId (documented).
func (x *exchange) createKey() (any, error) {
	a := x.args
	account, name := a.required("accountId"), a.required("keyName")
	capabilities, prefix := a.texts("capabilities"), a.optional("namePrefix")
	life := a.number("validDurationInSeconds", 0, 1, int64(maxKeyLife/time.Second)-1)
	var ids []string
	if x.version >= 4 {
		ids = a.texts("bucketIds")
	} else if id := a.optional("bucketId"); id != "" {
		ids = []string{id}
	}
	if err := a.done(); err != nil {
		return nil, err
	}
	if err := x.checkAccount(account); err != nil {
		return nil, err
	}
	allowed := allCapabilities()
	if len(ids) > 0 {
		allowed = bucketCapabilities()
	}
	switch unknown := slices.IndexFunc(capabilities, func(c string) bool { return !slices.Contains(allowed, c) }); {
	case !keyNamePattern.MatchString(name):
		return nil, badRequest("Invalid keyName: %s", name)
	case len(capabilities) == 0:
		return nil, badRequest("required field capabilities is missing")
	case unknown >= 0:
		return nil, badRequest("Invalid capability: %s", capabilities[unknown])
	case prefix != "" && len(ids) == 0:
		return nil, badRequest("namePrefix needs a bucket")
	}
	k := Key{Name: name, Capabilities: capabilities, NamePrefix: prefix, MultiBucket: x.version >= 4}
	for _, id := range ids {
		b, err := x.bucketFor(id)
		if err != nil {
			return nil, err
		}
		k.Buckets = append(k.Buckets, b.Name)
	}
	if life > 0 {
		k.Expires = x.s.Now().Add(time.Duration(life) * time.Second)
	}
	k, err := x.s.addKey(k)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	answer := x.keyObject(&k)
	answer["applicationKey"] = k.Secret
	return answer, nil
}

// listKeys answers the keys that have not expired, in the order of their IDs.
func (x *exchange) listKeys() (any, error) {
	a := x.args
	account, from := a.required("accountId"), a.optional("startApplicationKeyId")
	most := a.number("maxKeyCount", 100, 1, 10_000)
	if err := a.done(); err != nil {
		return nil, err
	}
	if err := x.checkAccount(account); err != nil {
		return nil, err
	}
	sorted := slices.SortedFunc(slices.Values(x.s.keys), func(a, b *Key) int { return cmp.Compare(a.ID, b.ID) })
	keys := list{}
	var next any
	for _, k := range sorted {
		if k.ID < from || k.over(x.s.Now()) {
			continue
		}
		if int64(len(keys)) == most {
			next = k.ID
			break
		}
		keys = append(keys, x.keyObject(k))
	}
	return object{"keys": keys, "nextApplicationKeyId": next}, nil
}

// deleteKey ends a key with its tokens.
func (x *exchange) deleteKey() (any, error) {
	id := x.args.required("applicationKeyId")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	k := x.s.keyByID(id)
	if k == nil {
		return nil, badRequest("Invalid applicationKeyId: %s", id) // uncertain text
	}
	x.s.removeKey(k)
	return x.keyObject(k), nil
}

// keyObject is a key as answers show it, without its secret. Version 4 lists
// the buckets (documented).
func (x *exchange) keyObject(k *Key) object {
	capabilities := list{}
	for _, c := range k.Capabilities {
		capabilities = append(capabilities, c)
	}
	o := object{
		"accountId": x.s.account, "applicationKeyId": k.ID, "capabilities": capabilities,
		"expirationTimestamp": k.expiration(), "keyName": k.Name, "namePrefix": textOrNull(k.NamePrefix),
		"options": list{"s3"},
	}
	if x.version < 4 {
		o["bucketId"] = nil
		if len(k.ids) > 0 {
			o["bucketId"] = k.ids[0]
		}
		return o
	}
	o["bucketIds"] = nil
	if len(k.ids) > 0 {
		ids := list{}
		for _, id := range k.ids {
			ids = append(ids, id)
		}
		o["bucketIds"] = ids
	}
	return o
}
