package sluice

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWaitCountsOnceItEnds(t *testing.T) {
	m := newMeter(nil)
	var c clock
	c.begin(m)
	c.end(m)
	waited := c.total.Load()
	require.Zero(t, c.since.Load())
	require.Equal(t, time.Duration(waited), c.read(int64(time.Since(m.start))))
}

func TestAcknowledgedIsNeverAheadOfSent(t *testing.T) {
	m := newMeter(nil)
	p := &Part{Size: 10, meter: m}
	p.count(4, 4)
	p.count(4, 4) // again
	m.acknowledge(p)
	s := m.snapshot()
	require.EqualValues(t, 10, s.Sent)
	require.EqualValues(t, 10, s.Acknowledged)
	require.EqualValues(t, 4, s.Resent)
	p.count(10, 10)
	require.EqualValues(t, 14, m.snapshot().Resent, "what is read after the acknowledgement is no new byte")
}
