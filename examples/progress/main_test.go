package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// data is two parts of the default size.
var data = strings.Repeat("0123456789abcdef", 9<<16)

func TestEveryPartAndEveryTickIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memorybackend.New(&memorybackend.Options{Bandwidth: 1 << 20})
		errNet := errors.New("connection lost")
		flaky := faults.New(store, faults.Retry(errNet, faults.OnPart(1)))
		tick := time.NewTicker(3 * time.Second)
		defer tick.Stop()
		var stderr bytes.Buffer
		require.Zero(t, run(t.Context(), flaky, tick.C, []string{"f"}, strings.NewReader(data), &stderr))
		for _, line := range []string{
			"up to 603979776000 bytes fit, in parts of 8388608 bytes at first\n",
			"large file mem-1 is started\n",
			"part 1: attempt 1 failed, next in 0s: connection lost\n",
			"part 2: 1048576 bytes are stored\n9437184 bytes read, 1048576 stored, 1 parts under way, 1 retries, 0 restarts",
			"part 1: 8388608 bytes are stored\n9437184 bytes read, 9437184 stored, 0 parts under way, 1 retries, 0 restarts",
			"waited 0s for the source, 0s for memory, 8s for the network\nprogress: f is stored, 9437184 bytes in 2 parts\n",
		} {
			require.Contains(t, stderr.String(), line)
		}
	})
}

func TestAPartThatIsSentASecondTimeIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memorybackend.New(&memorybackend.Options{Latency: time.Second})
		slow := faults.New(store, faults.Delay(time.Hour, faults.OnPart(6), faults.Nth(1)))
		var stderr bytes.Buffer
		require.Zero(t, run(t.Context(), slow, nil, []string{"f"}, strings.NewReader(strings.Repeat(data, 6)), &stderr))
		require.Contains(t, stderr.String(), "part 6: attempt 0 failed, next in 0s: far slower than other uploads, starting again\n")
		require.Contains(t, stderr.String(), "0 retries, 1 restarts")
	})
}

func TestAPartThatFailsIsShownAndNothingIsStored(t *testing.T) {
	store := memorybackend.New(nil)
	var stderr bytes.Buffer
	broken := faults.New(store, faults.Fail(nil, faults.OnPart(2)))
	require.Equal(t, 1, run(t.Context(), broken, nil, []string{"f"}, strings.NewReader(data), &stderr))
	require.Contains(t, stderr.String(), "part 2: failed: faults: injected failure\n")
	require.Contains(t, stderr.String(), "nothing is stored: sluice: upload part 2 of \"f\": ")
	require.Empty(t, store.Names())
	require.Empty(t, store.Leftovers(""))
}

func TestASourceThatFailsIsShownAndNothingIsStored(t *testing.T) {
	store := memorybackend.New(nil)
	r, w := io.Pipe()
	w.CloseWithError(errors.New("disk is gone"))
	var stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), store, nil, []string{"f"}, r, &stderr))
	require.Contains(t, stderr.String(), "disk is gone")
	require.Empty(t, store.Names())
}

func TestMistakesAreToldWithTheUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"-x", "f"}, {"-h"}} {
		var stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), memorybackend.New(nil), nil, args, nil, &stderr))
		require.Equal(t, usage, stderr.String())
	}
}
