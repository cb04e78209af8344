package sluice

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fluid is a network made of numbers: transfers share what it carries.
type fluid struct {
	perConn, shared float64       // bytes per second
	opening         time.Duration // before a new connection carries anything
	memory          int           // parts that fit; 0: any number
	s               sample
	moved           float64
	conns           []time.Duration // when they began
}

// run lets the limiter follow the network for so long, with parts always
// waiting.
func (f *fluid) run(l *limiter, d time.Duration) {
	const tick = 50 * time.Millisecond
	for range int(d / tick) {
		f.s.at += tick
		f.s.running = l.limit
		if f.memory > 0 {
			f.s.running = min(l.limit, f.memory)
			f.s.waiting = l.limit < f.memory
		}
		for len(f.conns) < f.s.running {
			f.conns = append(f.conns, f.s.at)
		}
		f.conns = f.conns[:f.s.running]
		open := 0.0
		for _, began := range f.conns {
			if f.s.at-began >= f.opening {
				open++
			}
		}
		f.s.edges = f.s.running - int(open)
		f.moved += min(f.shared, f.perConn*open) * tick.Seconds()
		f.s.moved = int64(f.moved)
		l.observe(f.s)
	}
}

func TestLimiter_FollowsTheThroughput(t *testing.T) {
	const part = 8 << 20
	for name, c := range map[string]struct {
		perConn, shared float64
		least, most     int
	}{
		"one slow line":           {1e9, 125e3, 1, 2}, // 2 is a trial
		"a line":                  {1e9, 1.25e6, 1, 8},
		"slow connections":        {125e3, 1e9, 16, 16},
		"connections":             {1e6, 1e9, 16, 16},
		"fast connections":        {20e6, 1e9, 16, 16},
		"six of many slow ones":   {125e3, 6 * 125e3, 6, 16},
		"a line without a bottom": {1e9, 1e9, 16, 16},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(16, true)
			f := &fluid{perConn: c.perConn, shared: c.shared, s: sample{part: part, waiting: true}}
			f.run(&l, 20*time.Minute)
			require.GreaterOrEqual(t, l.limit, c.least)
			require.LessOrEqual(t, l.limit, c.most)
		})
	}
}

// The limiter of a restore looks for the fewest transfers that are as fast where
// answers come at once, and adds them without a trial where they do not.
func TestLimiter_RestoresWithAsFewTransfersAsAreAsFast(t *testing.T) {
	const part = 4 << 20
	for name, c := range map[string]struct {
		perConn, shared float64
		latency         time.Duration
		least, most     int
	}{
		"this machine":               {1e9, 1e9, time.Millisecond, 1, 2}, // 2 is a trial
		"two connections":            {1e9, 2e9, time.Millisecond, 2, 4},
		"capped connections":         {25e6, 1e9, time.Millisecond, 32, 32},
		"eight capped connections":   {100e6, 800e6, time.Millisecond, 8, 16},
		"a line":                     {1e9, 12e6, time.Millisecond, 8, 16}, // each range takes long
		"distant capped ones":        {25e6, 1e9, 100 * time.Millisecond, 32, 32},
		"this machine, from afar":    {1e9, 1e9, 100 * time.Millisecond, 32, 32},
		"slow ones that are crowded": {1e6, 1e9, 10 * time.Millisecond, 32, 32},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(32, true)
			l.restores()
			require.Equal(t, startRanges, l.limit)
			f := fluid{perConn: c.perConn, shared: c.shared, s: sample{part: part, waiting: true, latency: c.latency}}
			f.run(&l, 9*time.Second)
			require.GreaterOrEqual(t, l.limit, c.least)
			require.LessOrEqual(t, l.limit, c.most)
		})
	}
}

func TestLimiter_FollowsALineThatBecomesSlow(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 5e6, shared: 1e9, s: sample{part: 8 << 20, waiting: true}}
	f.run(&l, 5*time.Minute)
	require.Equal(t, 16, l.limit)
	f.perConn, f.shared = 1e9, 125e3
	f.run(&l, 30*time.Minute)
	require.LessOrEqual(t, l.limit, 2)
	f.perConn, f.shared = 5e6, 1e9
	f.run(&l, 30*time.Minute)
	require.Equal(t, 16, l.limit)
}

// That fewer were slower while each connection was slow says nothing about a line
// that becomes slow later.
func TestLimiter_ForgetsHowLongPartsTookWhenTheyAreFast(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 16e3, shared: 1e9, s: sample{part: 8 << 20, waiting: true, acked: 1}}
	f.run(&l, time.Hour)
	require.Equal(t, 16, l.limit)
	require.Greater(t, l.took, 5*time.Minute)
	f.perConn = 5e6
	f.run(&l, 5*time.Minute)
	f.perConn, f.shared = 1e9, 140e3 // of 16, a part takes a quarter of an hour
	f.run(&l, 2*time.Hour)
	require.LessOrEqual(t, l.limit, 2)
}

// A connection far away is slow at first. Of parts that take seconds, a trial
// lasts as long as a part before it is given up.
func TestLimiter_WaitsForConnectionsThatBeginSlowly(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 2.5e6, shared: 1e9, opening: 1200 * time.Millisecond, s: sample{part: 8 << 20, waiting: true}}
	f.run(&l, 10*time.Second)
	require.Equal(t, 16, l.limit)
}

// The first uploads start one after the other, while no part waits.
func TestLimiter_MeasuresFromWhenAllTransfersMove(t *testing.T) {
	l := newLimiter(16, true)
	l.restores()
	for at := range 4 {
		l.observe(sample{at: time.Duration(at+1) * time.Millisecond, running: at, edges: at, part: 8 << 20, latency: never})
	}
	f := &fluid{perConn: 1e9, shared: 125e3, s: sample{part: 8 << 20, waiting: true, latency: time.Second}}
	f.run(&l, 10*time.Second)
	require.Equal(t, 1, l.limit, "one upload is on trial after one window, of 8.4 s")
}

// Memory holds fewer parts than a trial has transfers.
func TestLimiter_EndsATrialThatMemoryCannotFill(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 1e9, shared: 12.5e6, memory: 6, s: sample{part: 64 << 20, waiting: true}}
	f.run(&l, time.Minute)
	require.Equal(t, 1, l.limit)
	require.Positive(t, l.failed)
}

func TestLimiter_RunsFewerTransfersWhenPartsGrow(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 1e9, shared: 12.5e6, s: sample{part: 1 << 20, waiting: true, acked: 1}}
	f.run(&l, time.Minute)
	require.Equal(t, 16, l.limit)
	f.s.part = 64 << 20
	f.run(&l, 10*time.Minute)
	require.Contains(t, []int{8, 16}, l.limit, "86 s with 16, which are a trial now")
	f.s.part = 240 << 20
	f.run(&l, 10*time.Minute)
	require.Contains(t, []int{2, 4}, l.limit, "80 s with four")
	l = newLimiter(16, true)
	f = &fluid{perConn: 1.25e6, shared: 1e9, s: sample{part: 64 << 20, waiting: true}}
	f.run(&l, 10*time.Minute)
	require.Equal(t, 16, l.limit)
	f.s.part = 240 << 20
	f.run(&l, 10*time.Minute)
	require.Equal(t, 16, l.limit, "fewer are slower")
}

func TestLimiter_TriesNoMoreWhereARateCapIsReached(t *testing.T) {
	for _, c := range []struct {
		perSecond   float64
		part        int64
		least, most int
	}{{20e3, 1 << 20, 1, 1}, {125e3, 8 << 20, 1, 1}, {10e6, 8 << 20, 2, 2}, {100e6, 8 << 20, 16, 16}} {
		l := newLimiter(16, true)
		l.cap = c.perSecond
		f := &fluid{perConn: 1e9, shared: c.perSecond, s: sample{part: c.part, waiting: true}}
		f.run(&l, 20*time.Minute)
		require.GreaterOrEqual(t, l.limit, c.least)
		require.LessOrEqual(t, l.limit, c.most)
		require.Zero(t, l.failed)
	}
	l := newLimiter(16, true)
	l.cap = 10e6
	f := &fluid{perConn: 1e6, shared: 10e6, s: sample{part: 64 << 20, waiting: true}}
	f.run(&l, 20*time.Minute)
	require.GreaterOrEqual(t, l.limit, 8, "connections are slower than the cap")
}

func TestLimiter_AddsNothingWhileNoPartWaits(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 1e6, shared: 1e9, s: sample{part: 8 << 20}}
	f.run(&l, time.Minute)
	require.Equal(t, 1, l.limit)
}

// A part that is opened for a trial that brings nothing waits for the others.
func TestLimiter_OpensFewPartsWhereEachTakesLong(t *testing.T) {
	for name, c := range map[string]struct {
		perConn, shared float64
		most            int
	}{
		"a minute each":          {1e9, 125e3, 2},
		"seven seconds each":     {1e9, 1.25e6, 8},
		"six times a connection": {125e3, 6 * 125e3, 8},
	} {
		l := newLimiter(16, true)
		f := &fluid{perConn: c.perConn, shared: c.shared, s: sample{part: 8 << 20, waiting: true}}
		for range 600 {
			f.run(&l, 100*time.Millisecond)
			require.LessOrEqual(t, l.limit, c.most, name)
		}
	}
}

// More transfers than carry the throughput share it, and each takes longer.
func TestLimiter_KeepsAsManyAsATrialBrought(t *testing.T) {
	l := newLimiter(16, true)
	f := &fluid{perConn: 125e3, shared: 6 * 125e3, s: sample{part: 8 << 20, waiting: true}}
	f.run(&l, time.Minute)
	require.Equal(t, 6, l.limit)
}

// The limit was 0 once, for ever, after two windows in which nothing moved.
func TestLimiter_AllowsAtLeastOneTransferWhereNothingMoves(t *testing.T) {
	for _, rates := range [][2]float64{{0, 0}, {0, 1}, {1, 0}, {1e-300, 1e300}, {1e300, 1e-300}} {
		for _, more := range []int{1, 2, 16} {
			l := newLimiter(16, true)
			l.try(sample{}, rates[0], more)
			l.step(sample{part: 1, waiting: true}, rates[1], partTime(1, 1, rates[1]))
			require.True(t, l.limit >= 1 && l.limit <= l.max, "limit %d after %v", l.limit, rates)
			require.True(t, l.want >= 1 && l.want <= l.max, "want %d after %v", l.want, rates)
		}
	}
}

func TestLimiter_TriesNoMoreThanTheStoreTakes(t *testing.T) {
	l := newLimiter(16, true)
	l.credit = 0
	f := &fluid{perConn: 125e3, shared: 1e9, s: sample{part: 8 << 20, waiting: true}}
	for l.limit < 8 {
		f.run(&l, time.Second)
	}
	l.congested(0, 1)
	require.Equal(t, 4, l.limit)
	f.run(&l, 20*time.Minute)
	require.Equal(t, 4, l.limit)
	require.Zero(t, l.failed)
}

// Rejections do not end a trial of more transfers than were tried before.
func TestLimiter_GoesOnWithATrialThatIsRejected(t *testing.T) {
	l := newLimiter(16, true)
	l.credit = 0
	l.try(sample{}, 1e6, 12)
	l.congested(0, 1)
	require.Equal(t, 6, l.limit)
	require.Equal(t, 1, l.trial.limit)
	l.congested(1, 1)
	l.congested(2, 1)
	require.Equal(t, 1, l.limit)
	require.Zero(t, l.trial.limit)
}

func TestLimiter_NeverChangesAFixedLimit(t *testing.T) {
	l := newLimiter(7, false)
	f := &fluid{perConn: 1e9, shared: 1e3, s: sample{part: 8 << 20, waiting: true}}
	f.run(&l, time.Hour)
	l.congested(0, 1)
	for range 100 {
		l.acknowledged()
	}
	require.Equal(t, 7, l.limit)
}

// wide is a limiter that throughput does not hold back, and that forgives nothing
// yet.
func wide(n int, adaptive bool) *limiter {
	l := newLimiter(n, adaptive)
	l.want, l.credit = n, 0
	l.update()
	return &l
}

func TestLimiter_HalvesDownToOneAndNeverBelow(t *testing.T) {
	l := wide(5, true)
	for epoch, want := range []int{2, 1, 1, 1} {
		l.congested(epoch, 1)
		require.Equal(t, want, l.limit)
		require.Equal(t, epoch+1, l.epoch)
	}
	l.congested(0, 1)
	require.Equal(t, 4, l.epoch, "an attempt of an earlier epoch changes nothing")
}

func TestLimiter_RisesByOneAfterAQuietStretch(t *testing.T) {
	l := wide(4, true)
	l.congested(0, 1)
	for i, want := range []int{2, 3, 3, 3, 4, 4, 4, 4} {
		l.acknowledged()
		require.Equal(t, want, l.limit, "step %d", i)
	}
}

func TestLimiter_TakesAStepBackThatIsRejectedAndWaitsLonger(t *testing.T) {
	l := wide(16, true)
	acknowledge := func(n int) {
		for range n {
			l.acknowledged()
		}
	}
	l.congested(0, 1)
	require.Equal(t, 8, l.limit)
	for _, stretches := range []int{1, 2, 4, 8, 8} {
		acknowledge(8*stretches - 1)
		require.Equal(t, 8, l.limit)
		acknowledge(1)
		require.Equal(t, 9, l.limit)
		acknowledge(8) // one short of a stretch
		l.credit = 0
		l.congested(l.epoch, 1)
		require.Equal(t, 8, l.limit, "not halved")
	}
}

// One of many servers is busy now and then, whatever the limit.
func TestLimiter_ForgivesRejectionsThatAreFew(t *testing.T) {
	l := wide(16, true)
	for n := range 2000 {
		if n%20 == 19 {
			l.congested(l.epoch, 1)
		} else {
			l.acknowledged()
		}
	}
	require.Equal(t, 16, l.limit)
	for range 100 {
		l.acknowledged()
	}
	for range mostForgiven {
		l.congested(l.epoch, 1)
		require.Equal(t, 16, l.limit)
	}
	l.congested(l.epoch, 1)
	require.Equal(t, 8, l.limit, "several in a row are not forgiven")
	for range 8 {
		l.acknowledged()
	}
	require.Equal(t, 9, l.limit)
	l.congested(l.epoch, 1)
	require.Equal(t, 8, l.limit, "nor is the rejection of a step up")
	l.stepping, l.credit = false, forgiven*mostForgiven
	l.congested(l.epoch, mostForgiven+1)
	require.Equal(t, 4, l.limit, "nor a part that is rejected again and again")
}

func TestStraggler_IsOneUploadThatIsFarSlowerThanTheOthers(t *testing.T) {
	synctest.Test(t, testStraggler)
}

func testStraggler(t *testing.T) {
	var p pace
	for range 5 {
		p.record(100, time.Now().Add(-10*time.Second)) // a part takes ten seconds
	}
	time.Sleep(time.Hour)
	now := time.Now()
	at := func(age time.Duration, moved int64) transfer {
		return transfer{begun: now.Add(-age), age: age, moved: moved, size: 100}
	}
	again := at(time.Hour, 1)
	again.again = true
	for name, c := range map[string]struct {
		transfers []transfer
		want      int
	}{
		"none":                        {nil, -1},
		"as usual":                    {[]transfer{at(9*time.Second, 90), at(5*time.Second, 50)}, -1},
		"one":                         {[]transfer{at(9*time.Second, 90), at(25*time.Second, 20), at(5*time.Second, 50)}, 1},
		"one that is nearly done":     {[]transfer{at(9*time.Second, 90), at(25*time.Second, 90), at(5*time.Second, 50)}, -1},
		"one that waits for answer":   {[]transfer{at(9*time.Second, 90), at(25*time.Second, 100), at(5*time.Second, 50)}, -1},
		"one that waits for long":     {[]transfer{at(9*time.Second, 90), at(45*time.Second, 100), at(5*time.Second, 50)}, 1},
		"one that moves nothing":      {[]transfer{at(9*time.Second, 90), at(25*time.Second, 0), at(5*time.Second, 50)}, 1},
		"all, because the network is": {[]transfer{at(25*time.Second, 20), at(25*time.Second, 20), at(25*time.Second, 20)}, -1},
		"one for the second time":     {[]transfer{at(9*time.Second, 90), again, at(5*time.Second, 50)}, -1},
		"one in a backoff":            {[]transfer{at(9*time.Second, 90), at(-time.Second, 20), at(5*time.Second, 50)}, -1},
	} {
		i, next := straggler(c.transfers, &p)
		require.Equal(t, c.want, i, name)
		require.Positive(t, next, name)
	}
	slow := []transfer{at(25*time.Second, 20), at(25*time.Second, 20)}
	p.record(100, now.Add(-10*time.Second))
	p.record(100, now.Add(-11*time.Second))
	i, _ := straggler(slow, &p)
	require.NotEqual(t, -1, i, "parts that began later have overtaken them")
	i, _ = straggler([]transfer{at(time.Hour, 1)}, &pace{})
	require.Equal(t, -1, i, "nothing is known yet")
}

func TestRateLimit_SpreadsTheBytes(t *testing.T) {
	require.Nil(t, newRateLimit(0))
	r := newRateLimit(1000)
	require.EqualValues(t, 62, r.slice())
	require.EqualValues(t, 1, newRateLimit(3).slice())
	var wait time.Duration
	for range 100 {
		wait = r.reserve(62)
	}
	require.InDelta(t, 6.2-0.125, wait.Seconds(), 0.1)
}

func TestStats_TimeLeftGoesByTheBytesSent(t *testing.T) {
	require.Zero(t, Stats{Elapsed: time.Minute}.TimeLeft(100), "nothing is sent yet")
	require.Zero(t, Stats{Elapsed: time.Minute, Sent: 100}.TimeLeft(100))
	require.Zero(t, Stats{Elapsed: time.Minute, Sent: 100}.TimeLeft(0), "the total is not known")
	require.Equal(t, 3*time.Minute, Stats{Elapsed: time.Minute, Sent: 25}.TimeLeft(100))
	require.Equal(t, time.Minute, Stats{Elapsed: time.Minute, Sent: 75, Reused: 50}.TimeLeft(100), "reused bytes took no time")
}
