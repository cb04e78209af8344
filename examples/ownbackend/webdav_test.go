package main

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
	"github.com/c1508ce4/sluice/httpcall"
)

// davServer is as much of a WebDAV server as the example needs: collections of
// files in a folder.
type davServer struct {
	folder string
	// lose has the answer to the request lost, once it is done.
	lose func(*http.Request) bool
}

func (s *davServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := s.serve(r)
	if s.lose != nil && s.lose(r) {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// path is where the resource of an escaped path is.
func (s *davServer) path(escaped string) string {
	var names []string
	for name := range strings.SplitSeq(strings.Trim(escaped, "/"), "/") {
		names = append(names, strings.TrimSuffix(name, "/"))
	}
	return filepath.Join(append([]string{s.folder}, names...)...)
}

func (s *davServer) serve(r *http.Request) int {
	at := s.path(r.URL.EscapedPath())
	_, missing := os.Stat(at)
	switch r.Method {
	case "MKCOL":
		if os.Mkdir(at, 0o700) != nil {
			return http.StatusMethodNotAllowed
		}
		return http.StatusCreated
	case http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return http.StatusBadRequest
		}
		if os.WriteFile(at, data, 0o600) != nil {
			return http.StatusConflict // there is no collection
		}
		return http.StatusCreated
	case "MOVE":
		to, err := url.Parse(r.Header.Get("Destination"))
		if err != nil || missing != nil {
			return http.StatusNotFound
		}
		if os.Rename(at, s.path(to.EscapedPath())) != nil {
			return http.StatusPreconditionFailed
		}
		return http.StatusCreated
	case http.MethodHead:
		if missing != nil {
			return http.StatusNotFound
		}
		return http.StatusOK
	case http.MethodDelete:
		if missing != nil || os.RemoveAll(at) != nil {
			return http.StatusNotFound
		}
		return http.StatusNoContent
	}
	return http.StatusNotImplemented
}

func newDAV(t *testing.T) (*davServer, *webdav) {
	s := &davServer{folder: t.TempDir()}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	transport := httpcall.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	client, err := httpcall.New(transport, sluice.Retry{MaxWait: 1, Attempts: 3})
	require.NoError(t, err)
	return s, &webdav{client: client, root: server.URL}
}

// cat is the bytes of a finished file, whose member of the id is empty.
func (s *davServer) cat(w *webdav, name string) ([]byte, error) {
	return cat(s.path(strings.TrimPrefix(w.url(name), w.root)))
}

func TestWebDAV(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		s, w := newDAV(t)
		return backendtest.Store{
			Backend: w, NoOverwrite: true,
			Open: func(name string) (io.ReadCloser, error) {
				data, err := s.cat(w, name)
				return io.NopCloser(bytes.NewReader(data)), err
			},
		}
	})
}

func TestWebDAV_FinishLooksAfterALostAnswer(t *testing.T) {
	s, w := newDAV(t)
	s.lose = func(r *http.Request) bool { return r.Method == "MOVE" }
	file, err := sluice.Upload(t.Context(), w, "f", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "content")
		return err
	})
	require.NoError(t, err)
	require.EqualValues(t, 7, file.Size)
	data, err := s.cat(w, "f")
	require.NoError(t, err)
	require.Equal(t, "content", string(data))
}

func TestWebDAV_FinishThatCannotLookIsUnknown(t *testing.T) {
	s, w := newDAV(t)
	s.lose = func(r *http.Request) bool { return r.Method == "MOVE" || r.Method == http.MethodHead }
	_, err := sluice.Upload(t.Context(), w, "f", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "content")
		return err
	})
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
}

func TestWebDAV_ANameIsStoredOnce(t *testing.T) {
	s, w := newDAV(t)
	for _, content := range []string{"first", "second"} {
		_, err := sluice.Upload(t.Context(), w, "f", nil, func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		})
		if content == "second" {
			require.ErrorContains(t, err, `"f" is there already`)
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
		} else {
			require.NoError(t, err)
		}
	}
	data, err := s.cat(w, "f")
	require.NoError(t, err)
	require.Equal(t, "first", string(data))
	left, err := fs.Glob(os.DirFS(s.folder), "unfinished-*")
	require.NoError(t, err)
	require.Empty(t, left)
}
