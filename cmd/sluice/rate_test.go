package main

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Off a terminal, a line says every 30 s how the upload does.
var rateLine = regexp.MustCompile(`(?m)^\S+ \S+ ([\d.]+) MB in, ([\d.]+) (MB|bytes|kB) stored, .* ((?:\d+m)?\d+s) left$`)

// A part of 1 MiB takes 52 s at that rate. Of what was sent, all but two parts are
// stored at any time, and what the program says of the time left is right.
func TestRate_LeavesFewPartsOpenAndTheTimeLeftIsRight(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		const rate, total = 20_000, 20_000_000
		v.wire.rate, v.wire.burst = rate, rate/8
		v.file(noise(total))
		began := time.Now()
		require.Equal(t, exitDone, v.run("-rate", "20KB", "-memory", "16MiB", "-part-size", "1MiB", "b2://test-bucket/x"), v.stderr())
		took := time.Since(began)
		require.LessOrEqual(t, took.Seconds(), 1.1*total/rate)
		lines := rateLine.FindAllStringSubmatch(v.stderr(), -1)
		require.Greater(t, len(lines), 30, v.stderr())
		for i, line := range lines {
			after := time.Duration(i+1) * 30 * time.Second
			stored, err := strconv.ParseFloat(line[2], 64)
			require.NoError(t, err)
			if line[3] == "MB" {
				stored *= 1e6
			}
			const rounded = 0.06e6 // to tenths of a megabyte
			require.GreaterOrEqual(t, stored, min(rate*after.Seconds(), total)-2*(1<<20)-rounded, line[0])
			left, err := time.ParseDuration(line[4])
			require.NoError(t, err)
			require.InDelta(t, (took - after).Seconds(), left.Seconds(), 0.1*(took-after).Seconds()+took.Seconds()/20, line[0])
		}
	})
}
