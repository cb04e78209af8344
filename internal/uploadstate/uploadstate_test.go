package uploadstate

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestTracker_ChangeRequiresTheStateItLeaves(t *testing.T) {
	c := Tracker{Name: "large file 7"}
	require.NoError(t, c.RequireOpen())
	require.NoError(t, c.Change(Open, Finishing))
	require.Equal(t, Finishing, c.Current())
	require.EqualError(t, c.Change(Open, Finishing), "large file 7 is being finished")
	c.Set(Open)
	require.NoError(t, c.Change(Open, Finishing))
}

func TestTracker_MayCancelOnlyWhatIsOpen(t *testing.T) {
	for state, want := range map[State]struct {
		may bool
		err string
	}{
		Open:      {true, ""},
		Finishing: {false, "large file 7 is being finished"},
		Unknown:   {false, "large file 7 is not cancelled: " + sluice.ErrFinishUnknown.Error()},
		Finished:  {false, ""},
		Cancelled: {false, ""},
	} {
		c := Tracker{Name: "large file 7", state: state}
		may, err := c.MayCancel()
		require.Equal(t, want.may, may, state)
		if want.err == "" {
			require.NoError(t, err, state)
		} else {
			require.EqualError(t, err, want.err, state)
		}
		require.Equal(t, state == Unknown, errors.Is(err, sluice.ErrFinishUnknown), state)
	}
}
