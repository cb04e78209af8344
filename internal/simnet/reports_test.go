package simnet_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/simnet"
)

// oneByOne is a store that accepts every upload of a part and reads one after
// the other.
type oneByOne struct {
	http.RoundTripper
	site *site
	turn chan struct{}
}

func (o *oneByOne) RoundTrip(r *http.Request) (*http.Response, error) {
	if !o.site.isPart(r) {
		return o.RoundTripper.RoundTrip(r)
	}
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
		return o.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, r.Context().Err()
	}
}

// Uploads wait for each other outside the writer, and end all the same: where
// the transport has fewer connections than there are uploads (restic#1188 with
// one, restic#2925 with two), and where the store reads one part after the other,
// so that clients time out (rclone#9616).
func TestBackends_EndWhereUploadsWaitForEachOther(t *testing.T) {
	for store, open := range map[string]func(*testing.T) *site{"B2": newB2, "S3": newS3} {
		for name, c := range map[string]struct{ connections, concurrency int }{
			"one connection":                {1, 0},
			"one connection, eight uploads": {1, 8},
			"two connections":               {2, 0},
			"two, eight uploads":            {2, 8},
			"one by one":                    {0, 0},
			"one by one, eight uploads":     {0, 8},
		} {
			t.Run(store+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := open(t)
					defer s.close()
					const rate = 4 * mbit
					link := simnet.NewLink(simnet.Network{Shared: rate / float64(s.scale), RTT: 30 * time.Millisecond, Buffer: 256 << 10 / s.scale})
					defer link.Close()
					transport := httpx.NewTransport()
					transport.DialContext = httpx.DialPlain(link.Dial(s.network.Dial))
					transport.MaxConnsPerHost = c.connections
					defer transport.CloseIdleConnections()
					var rt http.RoundTripper = transport
					if c.connections == 0 {
						rt = &oneByOne{transport, s, make(chan struct{}, 1)}
					}
					b, err := s.open(rt)
					require.NoError(t, err)
					began := time.Now()
					_, err = sluice.Upload(t.Context(), b, "f", &sluice.Options{
						MemoryLimit: memory / s.scale, PageSize: int(1 << 20 / s.scale), Concurrency: c.concurrency,
					}, func(w io.Writer) error {
						_, err := io.Copy(w, io.LimitReader(zeros{}, streamSize/s.scale))
						return err
					})
					require.NoError(t, err)
					s.check(t)
					t.Logf("%v, of which the bytes take %v; %.3f times the bytes", time.Since(began),
						time.Duration(streamSize/rate*1e9), float64(link.Carried())*float64(s.scale)/streamSize)
				})
			})
		}
	}
}

// A store that answers 503 to every part is given up (rclone#597,
// B2_Command_Line_Tool#531), and the source is told.
func TestBackends_GiveUpAStoreThatRejectsEveryPart(t *testing.T) {
	for store, open := range map[string]func(*testing.T) *site{"B2": newB2, "S3": newS3} {
		for policy, retry := range map[string]sluice.Retry{"default": {}, "patient": {Budget: time.Hour}} {
			t.Run(store+", "+policy, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := open(t)
					s.retry = retry
					defer s.close()
					transport := httpx.NewTransport()
					transport.DialContext = s.network.Dial
					defer transport.CloseIdleConnections()
					b, err := s.open(&gateway{RoundTripper: transport, site: s, journey: journey{busy: 1}})
					require.NoError(t, err)
					began := time.Now()
					_, err = sluice.Upload(t.Context(), b, "f", &sluice.Options{MemoryLimit: memory / s.scale, PageSize: int(1 << 20 / s.scale)},
						func(w io.Writer) error {
							_, err := io.Copy(w, io.LimitReader(zeros{}, streamSize/s.scale))
							return err
						})
					var e *sluice.Error
					require.ErrorAs(t, err, &e)
					require.Equal(t, "upload", e.Op)
					require.Less(t, time.Since(began), 3*time.Hour)
				})
			})
		}
	}
}

// A hundred uploads at once, whose contexts end while they wait for a source that
// is silent, leave no goroutine (google-cloud-go#1380): the bubble would not end.
func TestWriters_LeaveNoGoroutineWithASilentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simnet.NewStore(simnet.Network{Shared: mbit, RTT: 30 * time.Millisecond}, sluice.Limits{MinPart: 5 << 10, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 30})
		defer s.Close()
		pool, err := sluice.NewPool(1<<20, 1<<10)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error)
		for i := range 100 {
			go func() {
				_, err := sluice.Upload(ctx, s, fmt.Sprint(i), &sluice.Options{Pool: pool}, func(w io.Writer) error {
					_, err := w.Write(make([]byte, i<<9))
					if err == nil {
						<-ctx.Done()
					}
					return ctx.Err()
				})
				ended <- err
			}()
		}
		for range 100 {
			require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		}
		require.Zero(t, pool.InUse())
	})
}

// Ten rate-limited transfers at once share a line and a Pool, to the last one
// (rclone#2029).
func TestWriters_AllEndUnderRateCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simnet.NewStore(simnet.Network{Shared: 1500, RTT: 30 * time.Millisecond}, sluice.Limits{MinPart: 5 << 10, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 30})
		defer s.Close()
		pool, err := sluice.NewPool(128<<10, 1<<10)
		require.NoError(t, err)
		began := time.Now()
		ended := make(chan error)
		const transfers, size = 10, 200 << 10
		for i := range transfers {
			go func() {
				_, err := sluice.Upload(t.Context(), s, fmt.Sprint(i), &sluice.Options{Pool: pool, MaxRate: 200}, func(w io.Writer) error {
					_, err := io.Copy(w, io.LimitReader(zeros{}, size))
					return err
				})
				ended <- err
			}()
		}
		for range transfers {
			require.NoError(t, <-ended)
		}
		// The last ones have more of the line than their rate caps let them use.
		require.LessOrEqual(t, time.Since(began).Seconds(), 1.2*transfers*size/1500)
	})
}
