package lab

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// over sends so many bytes over each of some connections of a line, each time
// after a pause, and returns how long all of that took.
func over(t *testing.T, l *line, connections, times, size int, pause time.Duration) time.Duration {
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var group sync.WaitGroup
		for range connections {
			near, far := net.Pipe()
			group.Go(func() {
				defer near.Close()
				for range times {
					time.Sleep(pause)
					_, err := near.Write(make([]byte, size))
					require.NoError(t, err)
				}
			})
			group.Go(func() {
				_, err := io.Copy(io.Discard, &lineConn{Conn: far, line: l, due: time.Now(), read: time.Now()})
				require.NoError(t, err)
			})
		}
		group.Wait()
		took = time.Since(began)
	})
	return took
}

func TestAConnectionAndALineKeepTheirRates(t *testing.T) {
	const mb = 1_000_000
	for name, c := range map[string]struct {
		connections, times int
		pause              time.Duration
		want               float64 // seconds
	}{
		"one connection is as slow as it is":         {1, 1, 0, 1},
		"as many as the line carries are no slower":  {2, 1, 0, 1},
		"more share what the line carries":           {8, 1, 0, 4},
		"what is not sent in a pause is not made up": {1, 4, time.Second, 4 + 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := &line{each: mb, all: 2 * mb}
			require.InDelta(t, c.want, over(t, l, c.connections, c.times, mb, c.pause).Seconds(), 0.05*c.want)
		})
	}
}

func TestTheDoormanRefusesOneUploadTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &doorman{most: 2, latency: time.Second}
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Minute) })
		ask := func(path string) int {
			w := httptest.NewRecorder()
			d.serve(w, httptest.NewRequest(http.MethodPost, path, nil), next)
			return w.Code
		}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { require.Equal(t, http.StatusOK, ask("/b2api/v2/b2_upload_part/x")) })
		}
		time.Sleep(2 * time.Second)
		began := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, ask("/b2api/v2/b2_upload_part/y"))
		require.Equal(t, time.Second, time.Since(began), "only the latency")
		require.Equal(t, http.StatusOK, ask("/b2api/v2/b2_get_upload_part_url"))
		group.Wait()
		require.Equal(t, http.StatusOK, ask("/b2api/v2/b2_upload_part/y"))
	})
}
