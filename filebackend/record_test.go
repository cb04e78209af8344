package filebackend

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/disk"
)

func TestARecordNames_AnElementAlone(t *testing.T) {
	_, _, _, err := parseHeader([]byte(`{"sluice":1,"name":"../x","size":-1,"started":"` + time.Now().Format(time.RFC3339) + `"}` + "\n"))
	require.ErrorContains(t, err, `line 1 of the record is damaged: the name "../x" is no element of a path`)
	require.False(t, errors.Is(err, disk.ErrForeign))
}
