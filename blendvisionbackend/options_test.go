package blendvisionbackend_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
)

func TestNewRefusesWhatIsMissingOrOutOfRange(t *testing.T) {
	good := blendvisionbackend.NewCredentials("token", "org")
	endpoint := "https://api.test"
	for text, v := range map[string]struct {
		credentials blendvisionbackend.Credentials
		opts        *blendvisionbackend.Options
	}{
		"credentials: the token is empty":           {blendvisionbackend.NewCredentials("", "org"), &blendvisionbackend.Options{Endpoint: endpoint}},
		"credentials: the organization id is empty": {blendvisionbackend.NewCredentials("token", ""), &blendvisionbackend.Options{Endpoint: endpoint}},
		"credentials: the token has a character that no header carries": {
			blendvisionbackend.NewCredentials("token\n", "org"), &blendvisionbackend.Options{Endpoint: endpoint},
		},
		"Options.Endpoint: it is empty; set it to the URL of the API":        {good, nil},
		`Options.Endpoint: "api.test" is not a URL with a host`:              {good, &blendvisionbackend.Options{Endpoint: "api.test"}},
		"Options.Endpoint: URL https://api.test/x has a query or a fragment": {good, &blendvisionbackend.Options{Endpoint: "https://api.test/x?y"}},
		"Options.Endpoint: URL https://api.test carries a user":              {good, &blendvisionbackend.Options{Endpoint: "https://u:p@api.test"}},
		"Options.Endpoint: URL ftp://a.b: scheme is neither":                 {good, &blendvisionbackend.Options{Endpoint: "ftp://a.b"}},
		"Options.Endpoint: URL http://api.test: plain http would show":       {good, &blendvisionbackend.Options{Endpoint: "http://api.test"}},
		"retry policy: Attempts -1 is negative":                              {good, &blendvisionbackend.Options{Endpoint: endpoint, Retry: sluice.Retry{Attempts: -1}}},
		"retry policy: Stall -1000000000 is negative":                        {good, &blendvisionbackend.Options{Endpoint: endpoint, Retry: sluice.Retry{Stall: -time.Second}}},
	} {
		_, err := blendvisionbackend.New(v.credentials, v.opts)
		require.ErrorContains(t, err, "blendvisionbackend: "+text)
	}
}

func TestPlainHTTPIsForLoopbackUnlessAllowed(t *testing.T) {
	for _, o := range []blendvisionbackend.Options{
		{Endpoint: "http://127.0.0.1:1"},
		{Endpoint: "http://localhost:1/"},
		{Endpoint: "http://api.test", AllowPlainHTTP: true},
	} {
		_, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("token", "org"), &o)
		require.NoError(t, err)
	}
}

func newOffline(t *testing.T) *blendvisionbackend.Backend {
	b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("token", "org"),
		&blendvisionbackend.Options{Endpoint: "https://api.test"})
	require.NoError(t, err)
	return b
}

func TestLimitsAreTheDocumentedOnes(t *testing.T) {
	l := newOffline(t).Limits()
	require.True(t, l.ServerSizesParts)
	require.False(t, l.Resumable)
	require.Zero(t, l.MaxSingle)
	require.Equal(t, int64(5<<20), l.MinPart)
	require.Equal(t, int64(5<<30), l.MaxPart)
	require.Equal(t, int64(70_000_000_000), l.MaxFile)
	require.Equal(t, 1, l.MinParts)
	require.Empty(t, l.PartDigests)
	require.Len(t, l.WholeDigests, 1)
	require.Equal(t, "sha1", l.WholeDigests[0].Name)
	require.Equal(t, 20, l.WholeDigests[0].New().Size())
}

func TestCheckNamesTheValueAndTheLimit(t *testing.T) {
	b := newOffline(t)
	for text, v := range map[string]struct {
		backend *blendvisionbackend.Backend
		spec    sluice.FileSpec
	}{
		"sluice: the size must be known: the service plans":   {b, sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}},
		"size 0: the service takes no file of fewer":          {b, sluice.FileSpec{Name: "a"}},
		"size 70000000001 is over the service's largest file": {b, sluice.FileSpec{Name: "a", Size: 70_000_000_001}},
		"the name is empty":                                 {b, sluice.FileSpec{Size: 1}},
		`name "a\xff" is not UTF-8`:                         {b, sluice.FileSpec{Name: "a\xff", Size: 1}},
		`attribute "": "v" has no name`:                     {b, sluice.FileSpec{Name: "a", Size: 1, Metadata: map[string]string{"": "v"}}},
		`attribute "k": "\xff" has no name or is not UTF-8`: {b, sluice.FileSpec{Name: "a", Size: 1, Metadata: map[string]string{"k": "\xff"}}},
		`FileOptions.Type "video" is none of FILE_TYPE_VIDEO`: {
			b.With(blendvisionbackend.FileOptions{Type: "video"}), sluice.FileSpec{Name: "a", Size: 1},
		},
		`FileOptions.Source "tape" is none of FILE_SOURCE_UPLOAD_IN_LIBRARY`: {
			b.With(blendvisionbackend.FileOptions{Source: "tape"}), sluice.FileSpec{Name: "a", Size: 1},
		},
		`attribute "": "w" has no name`: {
			b.With(blendvisionbackend.FileOptions{Attributes: map[string]string{"": "w"}}), sluice.FileSpec{Name: "a", Size: 1},
		},
	} {
		require.ErrorContains(t, v.backend.Check(v.spec), "blendvisionbackend: "+text)
	}
	require.ErrorIs(t, b.Check(sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}), sluice.ErrSizeRequired)
	require.ErrorIs(t, b.Check(sluice.FileSpec{Name: "a", Size: 70_000_000_001}), sluice.ErrTooLarge)
	require.NoError(t, b.Check(sluice.FileSpec{Name: "a", Size: 70_000_000_000}))
	require.NoError(t, b.Check(sluice.FileSpec{Name: strings.Repeat("ä", 300), Size: 1}))
}

func TestFileOptionsReachTheService(t *testing.T) {
	inWorld(t, nil, func(w world) {
		attributes := map[string]string{"from": "handle", "both": "handle"}
		handle := w.backend.With(blendvisionbackend.FileOptions{
			Type: "FILE_TYPE_AUDIO", Source: "FILE_SOURCE_ADD_AOD", Attributes: attributes,
		})
		attributes["later"] = "not seen"
		info := map[string]string{"both": "file"}
		f, err := handle.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1, Metadata: info})
		require.NoError(w, err)
		require.NoError(w, f.Cancel(w.Context()))
		s := w.session()
		require.Equal(w, "FILE_TYPE_AUDIO", s.Type)
		require.Equal(w, "FILE_SOURCE_ADD_AOD", s.Source)
		require.Equal(w, map[string]string{"from": "handle", "both": "file"}, s.Attrs)
		require.Equal(w, map[string]string{"both": "file"}, info)

		f, err = handle.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
		require.NoError(w, err)
		require.NoError(w, f.Cancel(w.Context()))
		require.Equal(w, map[string]string{"from": "handle", "both": "handle"}, w.session().Attrs, "of the next file")

		require.NoError(w, w.start(1).Cancel(w.Context()))
		require.Equal(w, "FILE_TYPE_VIDEO", w.session().Type, "the handle left the backend alone")
	})
}
