//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filebackend_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhileAPartIsWrittenNobodyElseResumes(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	f := start(t, b, "x")
	var err error
	during(t, f, func() { _, err = open(t, dir, nil).ResumeLargeFile(context.Background(), spec("x"), "") })
	require.ErrorContains(t, err, "being written to by another process or handle")
	_, err = b.ResumeLargeFile(context.Background(), spec("x"), "")
	require.NoError(t, err, "afterwards it can be resumed")
}
