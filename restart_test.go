package sluice_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// A store that sizes the parts is asked for them before the first part is
// compared, so the stream that starts anew has begun already.
func TestRestart_EndsWhereTheStoreSizesTheParts(t *testing.T) {
	for _, concurrency := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := sluice.Limits{ServerSizesParts: true, Resumable: true, PartDigests: []sluice.Algorithm{memorybackend.SHA256()}}
				memory := memorybackend.New(&memorybackend.Options{Limits: &limits, PlanPart: part, Latency: time.Second})
				data := testutil.Content(2 * part)
				o := sluice.Options{MemoryLimit: 8 * page, PageSize: page, Size: 2 * part, Resume: true, Concurrency: concurrency}
				w, err := sluice.New(t.Context(), memory, "f", &o)
				require.NoError(t, err)
				_, err = w.Write(data[:part+1])
				require.NoError(t, err)
				time.Sleep(time.Minute) // the first part is stored
				w.Abort(nil)
				var whys []error
				o.RestartOnMismatch = true
				o.Hooks = &sluice.Hooks{Restarted: func(why error) { whys = append(whys, why) }}
				stream := differing(data, 0)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				_, err = sluice.Upload(ctx, memory, "f", &o, writeAll(stream))
				require.NoError(t, err)
				require.Len(t, whys, 1)
				require.ErrorIs(t, whys[0], sluice.ErrResumeMismatch)
				require.Equal(t, stream, readBack(t, memory, "f"))
				require.Empty(t, memory.Leftovers(""))
			})
		})
	}
}
