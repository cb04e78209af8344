package b2test_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// Of the module it has what every local server has, and nothing that knows the
// protocol: mistakes are not shared.
func TestImportsNeitherTestingNorTheClient(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, "net/http")
	for _, dep := range deps {
		require.NotEqual(t, "testing", dep)
		if strings.Contains(dep, "sluice") {
			require.True(t, strings.HasSuffix(dep, "/b2backend/b2test") || strings.HasSuffix(dep, "/internal/localserver"), dep)
		}
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for text, opts := range map[string]*b2test.Options{
		"address already in use":    {Addr: taken.Addr().String()},
		"MinPartSize -1":            {MinPartSize: -1},
		"RecommendedPartSize 1":     {RecommendedPartSize: 1},
		"Latency -1s":               {Latency: -time.Second},
		"Bandwidth -1":              {Bandwidth: -1},
		`bucket "no"`:               {Bucket: "no"},
		"missing port in address":   {Addr: "127.0.0.1"},
		`Addr ":0" may be reached`:  {Addr: ":0"},
		`"0.0.0.0:0" may be`:        {Addr: "0.0.0.0:0"},
		`"192.0.2.1:80" may be`:     {Addr: "192.0.2.1:80"},
		`"store.test:80" may be`:    {Addr: "store.test:80"},
		"MinPartSize 6000000000 is": {MinPartSize: 6_000_000_000},
	} {
		_, err := b2test.Start(opts)
		require.ErrorContains(t, err, text)
	}
}

func TestAuthorizeListensWhereAsked(t *testing.T) {
	var s *b2test.Server
	var addr string
	for s == nil { // another program may take the port that was free
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr = free.Addr().String()
		require.NoError(t, free.Close())
		s, err = b2test.Start(&b2test.Options{Addr: addr})
		if err != nil {
			require.ErrorContains(t, err, "address already in use")
			require.NoError(t, t.Context().Err())
		}
	}
	defer s.Close()
	require.Equal(t, "http://"+addr, s.URL())
}

func TestKeysAndBucketsAreChecked(t *testing.T) {
	s := newServer(t, nil)
	_, err := s.AddKey(b2test.Key{Buckets: []string{"unknown"}})
	require.ErrorContains(t, err, "unknown")
	_, err = s.AddKey(b2test.Key{ID: s.KeyID()})
	require.ErrorContains(t, err, s.KeyID())
	_, err = s.AddBucket(b2test.Bucket{Name: s.Bucket()})
	require.ErrorContains(t, err, "already in use")
	_, err = s.AddBucket(b2test.Bucket{Name: "new-bucket", ID: "short"})
	require.ErrorContains(t, err, `"short"`)
}

func TestCloseTwiceIsFine(t *testing.T) {
	s := b2test.NewServer(nil)
	c := login(t, s)
	s.Close()
	s.Close()
	require.Zero(t, c.call("b2_get_upload_url", fields{"bucketId": c.bucket}).status)
}

func TestServersAreIndependent(t *testing.T) {
	one, two := newServer(t, nil), newServer(t, nil)
	login(t, one).upload("f", "x")
	require.Empty(t, two.Files(two.Bucket()))
	require.NotEqual(t, one.KeyID(), two.KeyID())
}
