package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutliveGoesOnForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		longer, release := Outlive(ctx, time.Minute)
		defer release()
		time.Sleep(time.Hour)
		require.NoError(t, longer.Err())
		cancel()
		began := time.Now()
		<-longer.Done()
		require.Equal(t, time.Minute, time.Since(began))
		require.Equal(t, errNoAnswer, context.Cause(longer))
	})
}

func TestOutliveLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		_, release := Outlive(t.Context(), time.Minute)
		release()
		ctx, cancel := context.WithCancel(t.Context())
		_, release = Outlive(ctx, time.Minute)
		cancel()
		synctest.Wait()
		began := time.Now()
		release()
		require.Zero(t, time.Since(began))
	})
}

func TestARequestThatIsNotOutEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBusy)
		defer cancel()
		began := time.Now()
		sent, err := steady.OnceSent(ctx, t.Context(), 1, func(ctx context.Context, a *Attempt) error {
			a.Sending() // the last bytes, and nobody takes them
			<-ctx.Done()
			return context.Cause(ctx)
		})
		require.Equal(t, errBusy, err)
		require.False(t, sent)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestARequestThatIsOutOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		longer, release := Outlive(ctx, time.Minute)
		defer release()
		began := time.Now()
		sent, err := steady.OnceSent(ctx, longer, 1, func(ctx context.Context, a *Attempt) error {
			a.Sent()
			<-ctx.Done()
			return context.Cause(ctx)
		})
		require.Equal(t, errNoAnswer, err)
		require.True(t, sent)
		require.Equal(t, time.Second+time.Minute, time.Since(began))
	})
}

// The goroutine that writes may say so only when the answer, or the end of the connection, has been read.
func TestAnAnswerCanOvertakeTheWordThatAllIsOut(t *testing.T) {
	sent, err := steady.OnceSent(t.Context(), t.Context(), 1, func(_ context.Context, a *Attempt) error {
		a.Sending()
		return errBusy
	})
	require.Equal(t, errBusy, err)
	require.True(t, sent)
}

func TestPollDoublesItsWaitsAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		no := func(context.Context) bool { asked++; return false }
		require.False(t, steady.Poll(t.Context(), no))
		require.Equal(t, 5, asked)
		require.Equal(t, 15*time.Second, time.Since(began))
		require.True(t, steady.Poll(t.Context(), func(context.Context) bool { return true }))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		asked = 0
		require.False(t, steady.Poll(ctx, no))
		require.Equal(t, 2, asked)
	})
}
