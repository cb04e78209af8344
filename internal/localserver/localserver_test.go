package localserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func TestCloseReleasesWhatWaitsAndWaitsForIt(t *testing.T) {
	e := NewEndpoints()
	entered := make(chan struct{})
	var left atomic.Bool
	l := listen(t)
	e.Serve(l, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-e.Closing()
		left.Store(true)
	})})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		// it hangs up, or was quick
		if resp, err := http.DefaultTransport.RoundTrip(httpGet(l)); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	e.Close()
	require.True(t, left.Load())
	e.Close()
	<-answered
	_, err := http.DefaultTransport.RoundTrip(httpGet(l))
	require.Error(t, err)
}

func TestEveryListenerIsServed(t *testing.T) {
	e := NewEndpoints()
	defer e.Close()
	for _, want := range []string{"first", "second"} {
		l := listen(t)
		e.Serve(l, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, want) })})
		resp, err := http.DefaultTransport.RoundTrip(httpGet(l))
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, string(got))
	}
}

func TestAListenerThatComesAfterCloseIsClosed(t *testing.T) {
	e := NewEndpoints()
	e.Close()
	l := listen(t)
	e.Serve(l, &http.Server{Handler: http.NotFoundHandler()})
	require.ErrorIs(t, l.Close(), net.ErrClosed)
	e.Close()
}

// A listener that comes while the server is closed is served and closed, or
// only closed.
func TestServeDuringCloseLeavesNothing(t *testing.T) {
	for range 50 {
		e := NewEndpoints()
		l := listen(t)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			e.Close()
		}()
		e.Serve(l, &http.Server{Handler: http.NotFoundHandler()})
		<-closed
		require.ErrorIs(t, l.Close(), net.ErrClosed)
	}
}

func httpGet(l net.Listener) *http.Request {
	// an address is a host
	req, _ := http.NewRequest(http.MethodGet, "http://"+l.Addr().String(), nil)
	return req
}

func TestAClientStaysUntilItHangsUpOrTheServerIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(e *Endpoints, hangUp func())
		stays bool
		after time.Duration
	}{
		"there":            {func(*Endpoints, func()) {}, true, time.Second},
		"hangs up":         {func(_ *Endpoints, hangUp func()) { hangUp() }, false, time.Second / 2},
		"server is closed": {func(e *Endpoints, _ func()) { e.Close() }, false, time.Second / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := NewEndpoints()
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				time.AfterFunc(time.Second/2, func() { c.end(e, hangUp) })
				began := time.Now()
				require.Equal(t, c.stays, e.Stays((&http.Request{}).WithContext(ctx)))
				require.Equal(t, c.after, time.Since(began))
			})
		})
	}
}

func TestAClockIsMovedOn(t *testing.T) {
	began := time.Unix(1000, 0)
	c := Clock{Base: func() time.Time { return began }}
	require.Equal(t, began, c.Now())
	c.Advance(time.Hour)
	c.Advance(time.Minute)
	require.Equal(t, began.Add(61*time.Minute), c.Now())
}

// met are the faults that a number of requests meet, of the same kind unless
// said otherwise; "" is none.
func met(s *Script[string], requests int) []string {
	var list []string
	for range requests {
		f, _ := s.Meet(func(f string) bool { return f[0] != '!' })
		list = append(list, f)
	}
	return list
}

func TestAFaultIsSkippedAndSpent(t *testing.T) {
	var s Script[string]
	s.Add("one", 0, 0)
	s.Add("later", 1, 2)
	s.Add("!other", 0, -1)
	require.Equal(t, []string{"one", "", "later", "later", "", ""}, met(&s, 6))
	require.Equal(t, []Scripted[string]{{"one", 1, 1}, {"later", 3, 2}, {"!other", 0, 0}}, s.All())
	s.Clear()
	require.Empty(t, s.All())
}

func TestTheFirstFaultThatIsDueIsMet(t *testing.T) {
	var s Script[string]
	s.Add("always", 2, -1)
	s.Add("first", 0, 1)
	require.Equal(t, []string{"first", "", "always", "always"}, met(&s, 4))
}

func TestFaults_MeanOneThing(t *testing.T) {
	refusal := errors.New("refusal")
	for kind, want := range map[string]struct{ before, after error }{
		Refuse:      {nil, refusal},
		RefuseEarly: {refusal, nil},
		Drop:        {nil, ErrGone},
		DropEarly:   {ErrGone, nil},
		Stall:       {nil, ErrGone},
		StallEarly:  {ErrGone, nil},
		LoseAnswer:  {nil, nil},
		Truncate:    {nil, nil},
		Garbage:     {nil, nil},
		"":          {nil, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := NewEndpoints()
			defer e.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r := (&http.Request{}).WithContext(ctx)
			require.Equal(t, want.before, e.CommitEarly(kind, r, refusal), kind)
			require.Equal(t, want.after, e.Commit(kind, r, refusal), kind)
			stalls := kind == Stall || kind == StallEarly
			require.Equal(t, stalls, ctx.Err() != nil, kind)
		})
	}
	require.Equal(t, ErrGone, Lost(0, refusal))
	require.Equal(t, refusal, Lost(504, refusal))
}

func TestStall_EndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEndpoints()
		time.AfterFunc(time.Hour, e.Close)
		require.Equal(t, ErrGone, e.Commit(Stall, (&http.Request{}).WithContext(t.Context()), nil))
	})
}
