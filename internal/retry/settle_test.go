package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

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
