package sluice_test

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/simnet"
	"github.com/c1508ce4/sluice/internal/testutil"
)

var sweepOf = flag.String("sweep", "", "sweep over all simulated networks whose names match this `regexp`; there are hundreds, which take hours")

const (
	// A page of 1 KiB stands for one of 1 MiB, so that streams of 100 GiB are
	// quick: all sizes and rates are divided by scale.
	scale = 1024

	kbit = 1000.0 / 8 // bytes per second
	mbit = 1000 * kbit
	gbit = 1000 * mbit
)

// journey is a stream over a network, in real sizes.
type journey struct {
	kind        string
	net         simnet.Network
	memory      int64
	size        int64
	concurrency int
	maxRate     int64
	declared    bool // the writer is told the length
}

func (j journey) String() string {
	speed := func(r float64) string { return fmt.Sprintf("%g Mbit/s", r/mbit) }
	text := j.kind + ", "
	switch {
	case j.maxRate > 0:
		text += speed(float64(j.maxRate))
	case j.net.Shared > 0 && j.net.PerConn > 0:
		text += speed(j.net.PerConn) + " a connection, " + speed(j.net.Shared) + " in all"
	case j.net.Shared > 0:
		text += speed(j.net.Shared)
	default:
		text += speed(j.net.PerConn) + " a connection"
	}
	return fmt.Sprintf("%s, %v, %d MiB memory, %d MiB", text, j.net.RTT, j.memory>>20, j.size>>20)
}

// trip is how a stream over a simulated network went.
type trip struct {
	took    time.Duration
	carried float64       // bytes over those of the stream
	parts   int           // of the file
	uploads int           // at once, at most
	longest time.Duration // from a part's first call to its acknowledgement
	// error of the time left in the second half, at worst, beyond a twentieth
	// of the time
	left float64
}

// simulated is a store behind the network, with all sizes and rates divided by
// scale.
func simulated(n simnet.Network) *simnet.Store {
	n.Shared, n.PerConn = n.Shared/scale, n.PerConn/scale
	n.Buffer, n.Packets = 256<<10/scale, 14600/scale
	return simnet.NewStore(n, sluice.Limits{
		MinPart: 5 << 20 / scale, MinParts: 2, MaxParts: 10_000, MaxPart: 5 << 30 / scale, MaxSingle: 5 << 30 / scale, MaxFile: 10 << 40 / scale,
	})
}

// travel runs the journey in virtual time.
func (j journey) travel(t *testing.T) (r trip) {
	synctest.Test(t, func(t *testing.T) {
		s := simulated(j.net)
		defer s.Close()
		began, size, most := time.Now(), j.size/scale, int64(0)
		if j.declared {
			most = size
		}
		w, err := sluice.New(t.Context(), s, "f", &sluice.Options{
			MemoryLimit: j.memory / scale, PageSize: 1 << 10, Concurrency: j.concurrency, MaxRate: j.maxRate / scale, MaxSize: most,
		})
		require.NoError(t, err)
		defer w.Abort(nil)
		var seen []sluice.Stats
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			expected := float64(j.size) / cmp.Or(float64(j.maxRate), j.net.Shared, 15*j.net.PerConn)
			tick := time.NewTicker(max(time.Millisecond, time.Duration(expected/40*1e9)))
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if stats := w.Stats(); stats.Sent > size/2 {
						seen = append(seen, stats)
					}
				case <-stop:
					return
				}
			}
		}()
		_, err = io.Copy(w, io.LimitReader(zeros{}, size))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		close(stop)
		<-stopped
		r.took = time.Since(began)
		r.carried = float64(s.Carried()) / float64(size)
		r.longest, r.parts, r.uploads = slices.Max(s.Took()), len(s.Took()), w.Settings().Concurrency
		for _, stats := range seen {
			left := r.took - stats.Elapsed
			if off := (stats.TimeLeft(size) - left).Abs() - max(5*time.Second, r.took/20); off > 0 {
				r.left = max(r.left, off.Seconds()/left.Seconds())
			}
		}
	})
	return r
}

// journeys returns the streams of the sweep whose names match of, and few of
// them if it is empty.
func journeys(of string) (list []journey) {
	match := regexp.MustCompile(of)
	rates := []float64{64 * kbit, mbit, 10 * mbit, 100 * mbit, gbit, 10 * gbit}
	trips := []time.Duration{time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond}
	memories := []int64{32 << 20, 128 << 20, 1 << 30}
	sizes := []int64{20 << 20, 250 << 20, 4 << 30, 100 << 30}
	if of == "" {
		trips, memories, sizes = []time.Duration{30 * time.Millisecond}, []int64{128 << 20}, []int64{20 << 20, 250 << 20, 2 << 30}
	}
	for _, size := range sizes {
		for _, memory := range memories {
			for _, rate := range rates {
				for _, rtt := range trips {
					for _, j := range []journey{
						{kind: "shared", net: simnet.Network{Shared: rate}},
						{kind: "capped", net: simnet.Network{PerConn: rate}},
						{kind: "both", net: simnet.Network{PerConn: rate, Shared: 6 * rate}},
						{kind: "lossy", net: simnet.Network{Shared: rate, BreakEvery: 50}},
						{kind: "crowded", net: simnet.Network{PerConn: rate, MaxUploads: 6}},
						{kind: "busy", net: simnet.Network{PerConn: rate, BusyEvery: 20}},
						{kind: "declared", net: simnet.Network{PerConn: rate}, declared: true},
						{kind: "rate cap", net: simnet.Network{PerConn: 10 * rate}, maxRate: int64(rate)},
					} {
						if float64(size)/rate > 36*3600 || j.declared && size < 4<<30 {
							// days of simulated time, and lengths at which
							// parts do not grow, show nothing new
							continue
						}
						j.net.RTT, j.memory, j.size = rtt, memory, size
						if match.MatchString(j.String()) {
							list = append(list, j)
						}
					}
				}
			}
		}
	}
	return list
}

// best is the fastest of some fixed numbers of uploads, and how long a part
// takes at least.
func (j journey) best(t *testing.T) (at int, took, longest time.Duration) {
	took, longest = 1<<62, 1<<62
	for _, n := range []int{1, 2, 4, 6, 15} {
		if j.net.MaxUploads > 0 && n > j.net.MaxUploads {
			continue
		}
		j.concurrency = n
		r := j.travel(t)
		if r.took < took {
			at, took = n, r.took
		}
		longest = min(longest, r.longest)
	}
	return at, took, longest
}

// TestSweep_FollowsTheNetwork holds streams with default options to what the
// best fixed number of uploads reaches, over simulated networks: 1.1 times its
// time and ten seconds; 1.05 times the bytes, 1.25 times for fewer than 50
// parts; parts that are acknowledged within 90 seconds, or twice what they take at
// best; and a time left that is right.
func TestSweep_FollowsTheNetwork(t *testing.T) {
	if testutil.Race && *sweepOf == "" {
		t.Skip("it runs without -race, where it takes a tenth of the time")
	}
	fmt.Println("network | best fixed | time s | over best | bytes | longest part s | at least s | time left off by")
	for _, j := range journeys(*sweepOf) {
		own := j.travel(t)
		at, best, least := j.best(t)
		fmt.Printf("%v | %d | %.1f | %.2f | %.3f | %.1f | %.1f | %.0f %%\n", j, at, own.took.Seconds(),
			own.took.Seconds()/best.Seconds(), own.carried, own.longest.Seconds(), least.Seconds(), 100*own.left)
		if own.took > best*11/10+10*time.Second {
			t.Errorf("%v: %v, with %d uploads %v", j, own.took, at, best)
		}
		if own.carried > 1.05 && own.parts >= 50 || own.carried > 1.25 {
			t.Errorf("%v: %.3f times the bytes in %d parts", j, own.carried, own.parts)
		}
		// On a shared line a part that is opened for a trial is put back, and waits
		// for the one before.
		if own.longest > max(90*time.Second, least*21/10) {
			t.Errorf("%v: a part took %v, at best %v", j, own.longest, least)
		}
		// The last ones of fewer parts leave uploads idle, and a part that is
		// rejected at the end is waited for.
		if own.left > 0.2 && own.parts >= 10*own.uploads && j.net.BusyEvery == 0 {
			t.Errorf("%v: the time left is off by %.0f %%", j, 100*own.left)
		}
	}
}

// Eight streams at once, each with a limiter of its own, use a slow line as well
// as one does, on one Pool or with a Pool each.
func TestWriters_ShareASlowLine(t *testing.T) {
	const writers, size, rate = 8, 60 << 20 / scale, 10 * mbit / scale
	for _, together := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := simulated(simnet.Network{Shared: rate * scale, RTT: 30 * time.Millisecond})
			defer s.Close()
			o := &sluice.Options{MemoryLimit: 128 << 20 / scale, PageSize: 1 << 10}
			if together {
				pool, err := sluice.NewPool(o.MemoryLimit, o.PageSize)
				require.NoError(t, err)
				o = &sluice.Options{Pool: pool}
			}
			began := time.Now()
			var group errgroup.Group
			ended := make([]time.Duration, writers)
			for i := range writers {
				group.Go(func() error {
					_, err := sluice.Upload(t.Context(), s, fmt.Sprint(i), o, func(w io.Writer) error {
						_, err := io.Copy(w, io.LimitReader(zeros{}, size))
						return err
					})
					ended[i] = time.Since(began)
					return err
				})
			}
			require.NoError(t, group.Wait())
			t.Logf("on one Pool: %v; the first ends after %v, the last after %v", together, slices.Min(ended), slices.Max(ended))
			best := writers * size / rate // seconds
			require.LessOrEqual(t, time.Since(began).Seconds(), 1.1*best+10)
			require.LessOrEqual(t, float64(s.Carried()), 1.05*writers*size)
		})
	}
}

// TestSweep_RestoresFillTheLink holds restores with default options to what the
// link and the memory allow, in virtual time. The memory is a window: it is
// fetched once in each latency and the time that the link takes to carry it. A
// file that is short waits for four answers before its first byte, and for
// connections twice.
func TestSweep_RestoresFillTheLink(t *testing.T) {
	if testutil.Race {
		t.Skip("it runs without -race, where it takes a tenth of the time")
	}
	const memory, connections = 128 << 20, 8
	for _, megabytes := range []float64{5, 25, 100} {
		for _, rtt := range []time.Duration{time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
			n := simnet.Network{PerConn: megabytes * 1e6, Shared: connections * megabytes * 1e6, RTT: rtt}
			share := min(1, memory/n.Shared/(rtt.Seconds()+memory/n.Shared))
			for _, seconds := range []float64{1.5, 5, 30} {
				t.Run(fmt.Sprintf("%g MB/s, %v, %g s", megabytes, rtt, seconds), func(t *testing.T) {
					took := restore(t, n, int64(seconds*n.Shared), memory).Seconds()
					best := 7*rtt.Seconds() + seconds/share
					t.Logf("%.2f of the link, %.2f times the least time", seconds/took, took/best)
					require.LessOrEqual(t, took, 1.15*best)
					if seconds == 30 {
						require.GreaterOrEqual(t, seconds/took, 0.95*share)
					}
				})
			}
		}
	}
}

// restore is how long a file of size bytes takes over the network.
func restore(t *testing.T, n simnet.Network, size, memory int64) (took time.Duration) {
	n.Shared, n.PerConn, n.Buffer = n.Shared/scale, n.PerConn/scale, 64<<10/scale
	synctest.Test(t, func(t *testing.T) {
		s := simnet.NewFiles(n, size/scale)
		defer s.Close()
		began := time.Now()
		_, err := sluice.Download(t.Context(), s, "f", io.Discard, &sluice.ReadOptions{MemoryLimit: memory / scale, PageSize: 1 << 10})
		require.NoError(t, err)
		took = time.Since(began)
	})
	return took
}
