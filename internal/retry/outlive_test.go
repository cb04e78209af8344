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
		require.Equal(t, ErrNoAnswer, context.Cause(longer))
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
