package b2backend_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestAnUploadURLIsKeptWhileItWorks(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f := start(t, b, "file")
	for number := range 5 {
		put(t, f, number+1, testutil.Content(minPart))
	}
	require.Equal(t, 1, s.Count("b2_get_upload_part_url"), "one upload at a time")
	for name := range 3 {
		_, err := b.With(b2backend.FileOptions{CacheControl: "no-store"}).UploadFile(t.Context(), sized(string(rune('a'+name)), 0), part(0, nil))
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.Count("b2_get_upload_url"), "handles share them")
	require.NoError(t, f.Cancel(t.Context()))
}

func TestThereAreAsManyUploadURLsAsUploadsAtOnce(t *testing.T) {
	s := newServer(t, &b2test.Options{MaxUploadURLs: 8})
	b := dial(t, s)
	f := start(t, b, "file")
	var uploads sync.WaitGroup
	for worker := range 8 {
		uploads.Go(func() {
			for n := range 10 {
				_, err := f.UploadPart(t.Context(), part(worker*10+n+1, testutil.Content(minPart)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	uploads.Wait()
	require.NoError(t, f.Cancel(t.Context()))
}

func TestARefusedUploadURLIsDropped(t *testing.T) {
	for _, c := range []struct {
		fault b2test.Fault
		urls  int
	}{
		{b2test.Fault{Status: 503}, 2},
		{b2test.Fault{Status: 500}, 2},
		{b2test.Fault{Status: 408}, 2},
		{b2test.Fault{Status: 401, Code: "expired_auth_token"}, 2},
		{b2test.Fault{Status: 400, Code: "auth_token_limit", Message: "more than one upload using auth token 4_x"}, 2},
		{b2test.Fault{Kind: b2test.Drop}, 2},
		{b2test.Fault{Kind: b2test.DropMidBody}, 2},
		{b2test.Fault{Kind: b2test.Garbage}, 2},
		{b2test.Fault{Status: 429}, 1},
	} {
		t.Run(describe(c.fault), func(t *testing.T) {
			s := newServer(t, nil)
			f := start(t, dial(t, s), "file")
			c.fault.Call = "b2_upload_part"
			inject(t, s, c.fault)
			put(t, f, 1, testutil.Content(minPart))
			put(t, f, 2, testutil.Content(minPart))
			require.Equal(t, c.urls, s.Count("b2_get_upload_part_url"))
			require.Equal(t, 3, s.Count("b2_upload_part"))
			require.NoError(t, f.Cancel(t.Context()))
		})
	}
}

func TestAReceiptSaysWhatTheServiceStored(t *testing.T) {
	s := newServer(t, nil)
	f := start(t, dial(t, s), "file")
	data := testutil.Content(minPart)
	p := part(7, data)
	r, err := f.UploadPart(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, sluice.Receipt{Number: 7, Size: minPart, Digests: p.Digests}, r)
	require.NoError(t, f.Cancel(t.Context()))
}

func TestBadPartsAreRefusedUnsent(t *testing.T) {
	s := newServer(t, nil)
	f := start(t, dial(t, s), "file")
	for want, p := range map[string]*sluice.Part{
		"b2backend: part number 0 is not in 1 to 10000":                  part(0, testutil.Content(5)),
		"b2backend: part number 10001 is not in 1 to 10000":              part(10001, testutil.Content(5)),
		"b2backend: part 1 of 0 bytes; a part has 1 to 5000000000 bytes": part(1, nil),
		"b2backend: part 1 comes without its SHA-1":                      sluice.NewPart(1, testutil.Content(5), nil),
	} {
		_, err := f.UploadPart(t.Context(), p)
		require.EqualError(t, err, want)
	}
	require.Zero(t, s.Count("b2_get_upload_part_url"))
	require.NoError(t, f.Cancel(t.Context()))
}

func TestRetriesOfAPartAreSeen(t *testing.T) {
	s := newServer(t, nil)
	inject(
		t, s,
		b2test.Fault{Call: "b2_get_upload_part_url", Status: 503, Count: 2},
		b2test.Fault{Call: "b2_upload_part", Part: 1, Status: 503, Count: 2},
	)
	b := dial(t, s)
	var mu sync.Mutex
	var seen []string
	opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 1000 * minPart, MemoryLimit: 64 * minPart, Concurrency: 1}
	opts.Hooks = &sluice.Hooks{PartRetrying: func(_ sluice.PartEvent, err error, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, err.Error())
	}}
	_, err := sluice.Upload(t.Context(), b, "file", opts, func(w io.Writer) error {
		_, err := w.Write(testutil.Content(2 * minPart))
		return err
	})
	require.NoError(t, err)
	slices.Sort(seen)
	require.Equal(t, []string{
		"b2_get_upload_part_url: 503 service_unavailable", "b2_get_upload_part_url: 503 service_unavailable",
		"b2_upload_part: 503 service_unavailable", "b2_upload_part: 503 service_unavailable",
	}, seen)
}

func TestALostSingleUploadMakesNoSecondVersion(t *testing.T) {
	for _, fault := range []b2test.Fault{
		{Kind: b2test.LoseAnswer}, {Kind: b2test.LoseAnswer, Status: 500}, {Kind: b2test.Truncate}, {Kind: b2test.Garbage}, {Kind: b2test.WrongSHA1},
	} {
		t.Run(describe(fault), func(t *testing.T) {
			s := newServer(t, nil)
			b := dial(t, s)
			// an equal version, and not to be taken for it
			_, err := b.UploadFile(t.Context(), sized("file", 50), part(0, testutil.Content(50)))
			require.NoError(t, err)
			fault.Call = "b2_upload_file"
			inject(t, s, fault)
			file, err := b.UploadFile(t.Context(), sized("file", 50), part(0, testutil.Content(50)))
			require.NoError(t, err)
			stored, err := s.File(s.Bucket(), "file")
			require.NoError(t, err)
			require.Equal(t, stored.ID, file.ID)
			require.Len(t, s.Files(s.Bucket()), 2)
			require.Equal(t, 2, s.Count("b2_upload_file"))
		})
	}
}

// outConn calls out with the length of every body that has been written to it.
type outConn struct {
	net.Conn
	out func(n int64)
}

func (c outConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.Conn.(io.ReaderFrom).ReadFrom(r)
	c.out(n)
	return n, err
}

func TestASingleUploadIsSettledWhenItsContextEnds(t *testing.T) {
	for name, fault := range map[string]b2test.Fault{
		"the answer comes late": {Kind: b2test.Wait, Delay: 30 * time.Millisecond},
		"the answer is lost":    {Kind: b2test.LoseAnswer, Delay: 30 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			key := mainKey(s)
			// the answer itself is waited for: this key could not look
			if fault.Kind == b2test.Wait {
				key = limitedKey(t, s, []string{"writeFiles"})
			}
			fault.Call = "b2_upload_file"
			release := make(chan struct{})
			fault.Hold = release
			inject(t, s, fault)
			data := testutil.Content(5000)
			rt := httpx.NewTransport()
			t.Cleanup(rt.CloseIdleConnections)
			dial := rt.DialContext
			rt.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				return outConn{c, func(n int64) {
					// the body is out; the context ends before the answer
					if n == int64(len(data)) {
						cancel()
						close(release)
					}
				}}, err
			}
			file, err := dialAs(t, s, key, &b2backend.Options{Transport: rt}).UploadFile(ctx, sized("file", len(data)), part(0, data))
			require.NoError(t, err)
			require.Equal(t, requireStored(t, s, "file", data).ID, file.ID)
		})
	}
}

func TestAnAnswerAboutOtherBytesIsNotBelieved(t *testing.T) {
	for _, kind := range []b2test.FaultKind{b2test.WrongSHA1, b2test.WrongLength} {
		s := newServer(t, nil)
		inject(t, s, b2test.Fault{Call: "b2_upload_file", Kind: kind}, b2test.Fault{Call: "b2_upload_part", Kind: kind})
		b := dialAs(t, s, limitedKey(t, s, []string{"writeFiles"}), nil)
		_, err := b.UploadFile(t.Context(), sized("file", 50), part(0, testutil.Content(50)))
		require.NoError(t, err)
		require.Equal(t, 2, s.Count("b2_upload_file"), kind)
		f := start(t, b, "large")
		put(t, f, 1, testutil.Content(50))
		require.Equal(t, 2, s.Count("b2_upload_part"), kind)
		require.NoError(t, f.Cancel(t.Context()))
	}
}

func TestALostSingleUploadThatCannotBeLookedUpIsUnknown(t *testing.T) {
	s := newServer(t, nil)
	b := dialAs(t, s, limitedKey(t, s, []string{"writeFiles"}), nil)
	inject(t, s, b2test.Fault{Call: "b2_upload_file", Kind: b2test.LoseAnswer}, b2test.Fault{Call: "b2_upload_file", Status: 403, Code: "storage_cap_exceeded"})
	_, err := b.UploadFile(t.Context(), sized("file", 50), part(0, testutil.Content(50)))
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	e, ok := errors.AsType[*b2backend.Error](err)
	require.True(t, ok)
	require.Equal(t, "storage_cap_exceeded", e.Code)
}

// The service gets the whole file and does not answer. It may store the file at
// any later time.
func TestAnAbandonedSingleUploadIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_upload_file": func(req *http.Request) (int, string) {
				<-req.Context().Done()
				return 0, "the client went"
			},
			"b2_list_file_versions": func(*http.Request) (int, string) { return http.StatusOK, `{"files":[]}` },
		}}
		b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 1}})
		require.NoError(t, err)
		_, err = b.UploadFile(t.Context(), sized("file", 50), part(0, testutil.Content(50)))
		require.ErrorIs(t, err, sluice.ErrFinishUnknown)
		require.Equal(t, 5, f.count("b2_list_file_versions"), "and looked for a while")
	})
}

// A body that is not out yet ends with its context, and stores nothing.
func TestACancelledUploadReturnsAtOnce(t *testing.T) {
	s := newServer(t, nil)
	for name, upload := range map[string]func(ctx context.Context, b *b2backend.Backend) error{
		"part": func(ctx context.Context, b *b2backend.Backend) error {
			f := start(t, b, "large")
			defer func() { require.NoError(t, f.Cancel(t.Context())) }()
			_, err := f.UploadPart(ctx, part(1, make([]byte, 16<<20)))
			return err
		},
		"file": func(ctx context.Context, b *b2backend.Backend) error {
			_, err := b.UploadFile(ctx, sized("single", 16<<20), part(0, make([]byte, 16<<20)))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inject(t, s, b2test.Fault{Call: "b2_upload_" + name, Kind: b2test.SlowBody, Rate: 1000})
			cause := errors.New("aborted")
			ctx, cancel := context.WithCancelCause(t.Context())
			b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: whenSendingSuch(t, func(req *http.Request) bool { return req.ContentLength == 16<<20 }, func() {
				time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
			})})
			began := time.Now()
			err := upload(ctx, b)
			require.ErrorIs(t, err, cause)
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			require.Less(t, time.Since(began), time.Minute)
		})
	}
	require.Empty(t, s.Files(s.Bucket()))
}

// The race detector watches the pages, which are scribbled over as soon as the
// call is back.
func TestPagesAreFreeOnceAnUploadReturns(t *testing.T) {
	s := newServer(t, nil)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond}})
	f := start(t, b, "file")
	data := make([]byte, 8<<20)
	for _, fault := range []b2test.Fault{{Kind: b2test.RefuseEarly, Status: 503}, {Kind: b2test.Drop}, {Kind: b2test.DropMidBody}} {
		fault.Call, fault.Count = "b2_upload_part", 3
		inject(t, s, fault)
		_, err := f.UploadPart(t.Context(), part(1, data))
		for i := 0; i < len(data); i += 64 {
			data[i]++
		}
		require.Error(t, err)
	}
	require.NoError(t, f.Cancel(t.Context()))
}

// The service's wording has changed, and what stands before it adds words of
// its own.
func TestUpload_SendsDamagedBytesAgainToANewURL(t *testing.T) {
	for _, message := range []string{
		"Sha1 did not match data received", "sha1 did not match data received", "Checksum did not match data received",
		"upload failed: CHECKSUM did not match data received (try again)", "error reading uploaded data: SocketTimeoutException(Read timed out)",
	} {
		s := newServer(t, nil)
		b := dial(t, s)
		inject(t, s,
			b2test.Fault{Call: "b2_upload_file", Status: 400, Code: "bad_request", Message: message},
			b2test.Fault{Call: "b2_upload_part", Status: 400, Code: "bad_request", Message: message, Part: 2})
		_, err := b.UploadFile(t.Context(), sized("single", 50), part(0, testutil.Content(50)))
		require.NoError(t, err, message)
		require.Equal(t, 2, s.Count("b2_get_upload_url"), message)
		_, err = streamed(t.Context(), b, "large", testutil.Content(3*minPart))
		require.NoError(t, err, message)
		require.Len(t, s.Files(s.Bucket()), 2)
	}
}
