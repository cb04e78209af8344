package sluice

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsUsualIsTheMedianOfTheLastPartsBySize(t *testing.T) {
	h := newHedger()
	h.learn(100, 10*time.Second)
	h.learn(100, time.Hour)
	require.Equal(t, never, h.late(100))
	h.learn(50, 5*time.Second)
	require.Equal(t, 20*time.Second, h.late(100), "one straggler of three changes nothing")
	require.Equal(t, 40*time.Second, h.late(200))
	require.Equal(t, leastLate, h.late(1))
	for range usualOf {
		h.learn(100, time.Minute)
	}
	require.Equal(t, 2*time.Minute, h.late(100), "the line has changed")
	for range usualOf {
		h.learn(0, 1000*time.Hour)
	}
	require.Equal(t, never, h.late(1<<62))
}

// asksContext is a large file that only looks at its contexts.
type asksContext struct{ LargeFile }

func (asksContext) UploadPart(ctx context.Context, _ *Part) (Receipt, error) {
	return Receipt{}, ctx.Err()
}

func TestAnUploaderWhoseHedgeWasFasterCanSendAnotherPart(t *testing.T) {
	u := &pipeline{ctx: t.Context(), hedges: newHedger(), file: opening{large: asksContext{}}}
	s := u.newSender()
	s.cancel() // as a hedge that was faster does
	_, err := s.upload(&Part{Number: 1, Size: 1})
	require.NoError(t, err)
}
