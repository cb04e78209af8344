package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

func TestLinesHaveEveryPairOfTheirValuesOnce(t *testing.T) {
	pairs := make(map[string]int)
	for _, l := range lines() {
		if l.Most == 0 {
			pairs[fmt.Sprint(l.Latency, l.Bandwidth)]++
			pairs[fmt.Sprint(l.Latency, " x ", l.Lanes)]++
			pairs[fmt.Sprint(l.Bandwidth, " x ", l.Lanes)]++
		}
	}
	require.Len(t, pairs, 3*9)
	for pair, n := range pairs {
		require.Equal(t, 1, n, pair)
	}
}

func TestALinksIdealIsThatOfItsConnectionsOrOfAllItCarries(t *testing.T) {
	l := lab.Link{Latency: 100 * time.Millisecond, Bandwidth: 10e6, Lanes: 3}
	require.InDelta(t, 2*5e6, ideal(l, 1e6, 2), 1, "a part takes 200 ms")
	require.InDelta(t, 30e6, ideal(l, 1e6, 20), 1)
	l.Most = 4
	require.InDelta(t, 4*5e6, ideal(l, 1e6, 20), 1)
}

// What the writer chooses is compared with the best fixed number of the same
// line, whichever that is.
func TestOwnChoiceIsComparedWithTheBestFixedNumber(t *testing.T) {
	at := func(name string, n int, seconds float64) outcome {
		return outcome{Name: "links/" + name, measured: measured{
			job{Concurrency: n, PartSize: 1, Link: lab.Link{Bandwidth: 1}}, []sample{{Bytes: 100, Wall: seconds}},
		}}
	}
	for seconds, verdict := range map[float64]string{2.09: "met", 2.2: "MISSED"} {
		tables := followedTable(result{}, []outcome{at("a/x auto", 0, seconds), at("a/x 1", 1, 4), at("a/x 4", 4, 2), at("b/x 4", 4, 1)})
		require.Len(t, tables[0].Rows, 1)
		require.Equal(t, "4", tables[0].Rows[0][2])
		require.Equal(t, verdict, tables[0].Rows[0][7])
	}
}
