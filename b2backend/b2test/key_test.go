package b2test_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestCreateKey_MakesAKeyThatLogsIn(t *testing.T) {
	for version := 1; version <= 4; version++ {
		s := newServer(t, nil)
		c := login(t, s)
		c.version = version
		in := fields{
			"accountId": s.AccountID(), "keyName": "a-key", "capabilities": []string{"listFiles", "writeFiles"},
			"validDurationInSeconds": 60, "namePrefix": "logs/",
		}
		if version < 4 {
			in["bucketId"] = c.bucket
		} else {
			in["bucketIds"] = []string{c.bucket}
		}
		a := c.must("b2_create_key", in)
		require.Equal(t, []any{"listFiles", "writeFiles"}, a.body["capabilities"])
		require.Equal(t, "logs/", a.str("namePrefix"))
		require.InDelta(t, s.Now().Add(time.Minute).UnixMilli(), a.body["expirationTimestamp"], float64(time.Minute/time.Millisecond))
		if version < 4 {
			require.Equal(t, c.bucket, a.str("bucketId"))
		} else {
			require.Equal(t, []any{c.bucket}, a.body["bucketIds"])
		}
		k := b2test.Key{ID: a.str("applicationKeyId"), Secret: a.str("applicationKey")}
		d := loginAs(t, s, k)
		d.must("b2_list_file_names", fields{"bucketId": c.bucket, "prefix": "logs/"})
		d.refused("b2_list_file_names", fields{"bucketId": c.bucket}, 401, "unauthorized", "")
		d.refused("b2_list_keys", fields{"accountId": s.AccountID()}, 401, "unauthorized", "")
		login := c.authorize(4, k)
		require.Equal(t, a.body["expirationTimestamp"], login.body["applicationKeyExpirationTimestamp"])

		s.Advance(time.Minute)
		require.Equal(t, "expired_auth_token", d.call("b2_list_file_names", fields{"bucketId": c.bucket}).str("code"))
		require.Equal(t, 401, c.authorize(4, k).status, "the key has expired")
	}
}

func TestCreateKey_ChecksItsFields(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	for field, value := range map[string]any{
		"accountId": "0123456789ab", "keyName": "under_score", "capabilities": []string{"fly"}, "namePrefix": "no-bucket/",
		"validDurationInSeconds": 86_400_000, "bucketIds": []string{"none"}, "bucketId": c.bucket,
	} {
		in := fields{"accountId": s.AccountID(), "keyName": "k", "capabilities": []string{"listFiles"}}
		in[field] = value
		require.Equal(t, 400, c.call("b2_create_key", in).status, field)
	}
	in := fields{
		"accountId": s.AccountID(), "keyName": "k", "capabilities": []string{"listKeys"}, "bucketIds": []string{c.bucket},
	}
	c.refused("b2_create_key", in, 400, "bad_request", "Invalid capability: listKeys")
	delete(in, "bucketIds")
	c.must("b2_create_key", in)
}

func TestListKeys_ShowsNoSecretAndPages(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	in := fields{"accountId": s.AccountID(), "keyName": "k", "capabilities": []string{"listFiles"}}
	secret := c.must("b2_create_key", in).str("applicationKey")
	c.must("b2_create_key", in)
	a := c.must("b2_list_keys", fields{"accountId": s.AccountID(), "maxKeyCount": 2})
	require.Len(t, a.body["keys"], 2)
	require.NotContains(t, string(a.raw), secret)
	require.NotContains(t, string(a.raw), s.Key())
	next := a.str("nextApplicationKeyId")
	a = c.must("b2_list_keys", fields{"accountId": s.AccountID(), "startApplicationKeyId": next})
	require.Len(t, a.body["keys"], 1)
	require.Nil(t, a.body["nextApplicationKeyId"])
}

func TestDeleteKey_EndsTheKeyAndItsTokens(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	a := c.must("b2_create_key", fields{"accountId": s.AccountID(), "keyName": "k", "capabilities": []string{"listFiles"}})
	k := b2test.Key{ID: a.str("applicationKeyId"), Secret: a.str("applicationKey")}
	d := loginAs(t, s, k)
	gone := c.must("b2_delete_key", fields{"applicationKeyId": k.ID})
	require.NotContains(t, gone.body, "applicationKey")
	require.Equal(t, "expired_auth_token", d.call("b2_list_file_names", fields{"bucketId": c.bucket}).str("code"))
	require.Equal(t, 401, c.authorize(4, k).status)
	require.Equal(t, 400, c.call("b2_delete_key", fields{"applicationKeyId": k.ID}).status)
	next := c.must("b2_create_key", fields{"accountId": s.AccountID(), "keyName": "k", "capabilities": []string{"listFiles"}})
	require.NotEqual(t, k.ID, next.str("applicationKeyId"))
}
