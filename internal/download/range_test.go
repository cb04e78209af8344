package download

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

func TestCheckBytes_TakesOnlyTheBytesAskedFor(t *testing.T) {
	for _, c := range []struct {
		status int
		length int64
		part   string
		want   string
	}{
		{206, 4, "bytes 2-5/10", ""},
		{200, 10, "", "status 200, not 206"},
		{206, 4, "", `the range "", not "bytes 2-5/10"`},
		{206, 4, "bytes 1-4/10", `the range "bytes 1-4/10"`},
		{206, 4, "bytes 2-5/11", `the range "bytes 2-5/11"`},
		{206, 3, "bytes 2-5/10", "3 bytes, not 4"},
		{206, -1, "bytes 2-5/10", "no length"},
	} {
		resp := &http.Response{StatusCode: c.status, ContentLength: c.length, Header: http.Header{"Content-Range": {c.part}}}
		err := CheckBytes(resp, 2, 4, 10)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
}

func TestCheckBytes_TakesAllBytesWithoutARange(t *testing.T) {
	for _, c := range []struct {
		status int
		length int64
		part   string
		want   string
	}{
		{206, 10, "bytes 0-9/10", ""},
		{200, 10, "", ""},
		{206, 10, "", `the range "", not "bytes 0-9/10"`},
		{200, 10, "bytes 0-9/10", `the range "bytes 0-9/10", not ""`},
		{200, 9, "", "9 bytes, not 10"},
		{200, -1, "", "no length"},
	} {
		resp := &http.Response{StatusCode: c.status, ContentLength: c.length, Header: http.Header{"Content-Range": {c.part}}}
		err := CheckBytes(resp, 0, 10, 10)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
}

func TestWithin_RejectsWhatIsBeyondTheFile(t *testing.T) {
	require.NoError(t, Within(sluice.NewRange(0, 10), 10))
	require.NoError(t, Within(sluice.NewRange(10, 0), 10))
	for _, r := range []*sluice.Range{sluice.NewRange(0, 11), sluice.NewRange(10, 1), sluice.NewRange(-1, 1), sluice.NewRange(1<<62, 5)} {
		require.Error(t, Within(r, 10))
	}
}

func call(backoff retry.Backoff) retry.Call {
	if backoff == nil {
		backoff = func(ctx context.Context, _ error, wait time.Duration) error { time.Sleep(wait); return ctx.Err() }
	}
	return retry.Call{
		Classify: func(err error) retry.Verdict {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return retry.Verdict{Action: retry.BackOff}
			}
			return retry.Verdict{}
		},
		Backoff: backoff,
	}
}

func TestFill_GoesOnAsLongAsBytesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{Attempts: 2, Base: time.Second, MaxWait: time.Second}
		data := "0123456789"
		r := sluice.NewRange(0, 10)
		tries := 0
		err := Fill(t.Context(), p, call(nil), r, func(_ context.Context, a *retry.Attempt) error {
			tries++
			offset, size := r.Attempt()
			return Into(r, strings.NewReader(data[offset:offset+min(size, 1)]), a)
		})
		require.NoError(t, err)
		require.Equal(t, 10, tries)
		require.Equal(t, data, string(r.Bytes()))
	})
}

// A server that breaks off after each byte is not asked as fast as it answers.
func TestFill_WaitsWhereFewBytesCame(t *testing.T) {
	for brought, want := range map[int64]time.Duration{1: time.Second, littleBrought - 1: time.Second, littleBrought: 0} {
		synctest.Test(t, func(t *testing.T) {
			p := retry.Policy{Attempts: 1, Base: 2 * time.Second, MaxWait: time.Second}
			r := sluice.NewRange(0, 2*brought)
			began := time.Now()
			require.NoError(t, Fill(t.Context(), p, call(nil), r, func(_ context.Context, a *retry.Attempt) error {
				return Into(r, strings.NewReader(strings.Repeat("x", int(brought))), a)
			}))
			require.Equal(t, want, time.Since(began))
		})
	}
}

func TestFill_EndsWhereNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{Attempts: 3, Base: time.Second, MaxWait: time.Second}
		r := sluice.NewRange(0, 10)
		tries := 0
		err := Fill(t.Context(), p, call(nil), r, func(_ context.Context, a *retry.Attempt) error {
			tries++
			return Into(r, strings.NewReader(""), a)
		})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, 3, tries)

		final := errors.New("wrong")
		err = Fill(t.Context(), p, call(nil), r, func(context.Context, *retry.Attempt) error {
			_, _ = r.Write([]byte("x"))
			return final
		})
		require.Equal(t, final, err)
	})
}

func TestFill_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{Attempts: 3, Base: time.Second, MaxWait: time.Second}
		r := sluice.NewRange(0, 10)
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		err := Fill(ctx, p, call(func(ctx context.Context, _ error, _ time.Duration) error {
			cancel(cause)
			return ctx.Err()
		}), r, func(_ context.Context, a *retry.Attempt) error { return Into(r, strings.NewReader("x"), a) })
		require.ErrorIs(t, err, cause)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the last failure")
	})
}

// slow is a body of one byte a second.
type slow struct{}

func (slow) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	p[0] = 'x'
	return 1, nil
}

func TestFill_EndsAnAttemptThatBringsOtherBytesForItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{Attempts: 1, Base: time.Second, MaxWait: time.Second, Timeout: time.Minute}
		r := sluice.NewRange(0, 1000)
		require.NoError(t, Fill(t.Context(), p, call(nil), r, func(_ context.Context, a *retry.Attempt) error {
			return Into(r, slow{}, a)
		}))
		began := time.Now()
		err := Fill(t.Context(), p, call(nil), sluice.NewRange(0, 1000), func(ctx context.Context, _ *retry.Attempt) error {
			for ctx.Err() == nil {
				_, _ = slow{}.Read(make([]byte, 1))
			}
			return ctx.Err()
		})
		require.ErrorIs(t, err, retry.ErrTimeout)
		require.LessOrEqual(t, time.Since(began), time.Minute+time.Second)
	})
}
