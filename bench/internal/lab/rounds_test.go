package lab

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoundsTakeTurnsAfterOneThatWarmsUp(t *testing.T) {
	var ran []string
	samples, err := Rounds([]string{"a", "b"}, 2, NewProgress(io.Discard), func(job string, warming bool) (int, error) {
		ran = append(ran, fmt.Sprint(job, warming))
		return len(ran), nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"atrue", "btrue", "afalse", "bfalse", "afalse", "bfalse"}, ran)
	require.Equal(t, [][]int{{3, 5}, {4, 6}}, samples)
}

func TestTheFirstErrorEndsTheRoundsAndNamesTheJob(t *testing.T) {
	ran := 0
	_, err := Rounds([]string{"a", "b"}, 2, NewProgress(io.Discard), func(string, bool) (int, error) {
		ran++
		return 0, errors.New("broken")
	})
	require.EqualError(t, err, "a: broken")
	require.Equal(t, 1, ran)
}

func TestAStreamIsShorterWhereItWarmsUp(t *testing.T) {
	require.EqualValues(t, 100, WarmUp(1600, 10))
	require.EqualValues(t, 300, WarmUp(1600, 300))
	require.EqualValues(t, 5, WarmUp(5, 300))
}
