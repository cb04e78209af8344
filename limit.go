package sluice

import (
	"cmp"
	"time"
)

// limiter decides how many transfers may run at once. It is a state machine
// over numbers: it starts no goroutine, takes no lock and reads no clock.
//
// A fixed limit never changes. An adaptive one starts low and follows two
// rules, of which the stricter one holds.
//
// Throughput: as many transfers as each complete a part within freeTime may
// always run, since even if they only share one bottleneck, little is lost
// when the process dies. Beyond that more are tried: twice as many, or at first
// as many as complete a part within longPart in any case. The limit stays raised
// only if the throughput rises by a tenth, and only by as much as that takes. On
// a shared slow line few parts are therefore open and each one completes soon;
// where every connection is capped, all of them are used. When parts take more
// than longPart, fewer transfers are tried in the same way, and again when parts
// take twice as long as they did then. Where a rate cap is what bounds the
// throughput, no more are tried.
//
// Restores begin with more transfers, and look for the fewest that are as fast:
// each one holds memory, and fresh memory costs more processor time than anything
// else. Where ranges come in an instant, trials of more and of fewer transfers
// replace the first half of the rule above.
//
// Congestion: when the store asks to slow down, or an attempt stalls, the
// limit is halved. After a quiet stretch, as many acknowledged parts as
// transfers are allowed, it rises by one. If that step is rejected before it
// has lasted a stretch it is taken back, and the next one waits twice as long.
// An attempt counts by the epoch it began in: what was under way when the
// limit fell is not held against the new one. Few rejections of different parts
// are forgiven: a store of many servers, of which one is busy now and then,
// rejects as many whatever the limit.
type limiter struct {
	max      int
	adaptive bool
	limit    int // transfers allowed, 1…max

	// Congestion.
	ceiling  int
	quiet    int  // parts acknowledged since the last change
	stepping bool // the last change was a step up, and has not lasted a stretch
	patience int  // stretches that the next step up waits
	epoch    int  // reductions so far
	credit   int  // parts acknowledged that no rejection was forgiven for

	// Throughput.
	want   int
	window window
	trial  trial
	hold   time.Duration // no trial begins before
	failed int           // trials in a row that brought nothing
	shed   bool          // transfers over the limit are to be ended, if they have only begun
	took   time.Duration // what a part took when fewer transfers were last found to be slower
	cap    float64       // bytes per second that are known not to be exceeded; 0: none

	// Restores.
	restore bool
	less    time.Duration // no trial of fewer transfers for quick parts begins before
	slower  int           // such trials in a row that were slower
}

// window is a stretch of time over which the throughput is measured. It
// begins once the transfers that a change of the limit started are moving
// bytes, or those that it ended are over.
type window struct {
	changed time.Duration // when the limit changed
	open    bool
	start   sample // if open, the state when the window began; else when the limit changed
	over    bool   // the next sample begins another one
	idle    bool   // at some time too few parts were there to measure the limit
}

type trial struct {
	limit int     // to go back to
	rate  float64 // bytes per second at that limit
}

// sample is what the limiter learns about the transfers at one moment.
type sample struct {
	at      time.Duration // since some fixed time
	moved   int64         // bytes that have left the sockets' buffers, in all
	acked   int           // parts acknowledged
	running int           // transfers under way
	// of these, how many have just begun or are about to end, and move nothing
	// that is seen
	edges   int
	part    int64         // bytes of one part
	waiting bool          // a part waits for a transfer to end
	latency time.Duration // until the first byte of an attempt, the shortest
}

const (
	// startTransfers is what an adaptive limiter starts with: where parts take
	// longer than longPart, those open at once take as many times as long.
	startTransfers = 1
	// startRanges is what an adaptive limiter of a restore starts with. A crash
	// loses nothing of a range.
	startRanges = 8
	// fairPart is how long ranges take at most for a trial of fewer transfers to
	// cost little: it begins when those that are too many are over.
	fairPart = 500 * time.Millisecond
	// quickStart is a latency that is short, and quickTrial how long the
	// throughput is measured where it is.
	quickStart, quickTrial = 20 * time.Millisecond, 100 * time.Millisecond
	// freeTime is how long parts may take for more transfers to need no trial.
	freeTime = 2 * time.Second
	// longPart is how long a part should take at most, so that a crash loses
	// no more than that.
	longPart = time.Minute
	// gain is by how much a doubled limit has to raise the throughput.
	gain = 1.1
	// clearGain is a rise of the throughput that ends a trial at once.
	clearGain = 1.5
	// forgiven is how many acknowledged parts forgive the first rejection of a
	// part, and mostForgiven how many of these are forgiven in a row.
	forgiven, mostForgiven = 6, 2
	// mostPatience is how many quiet stretches a step up waits for at most.
	mostPatience = 8
	// mostFailed bounds how rare trials become: 2^mostFailed times as rare.
	mostFailed = 4
)

// never is when a timer fires that does not: in 146 years.
const never = time.Duration(1 << 62)

func newLimiter(n int, adaptive bool) limiter {
	l := limiter{max: n, adaptive: adaptive, limit: n, ceiling: n, patience: 1, credit: forgiven * mostForgiven, want: n}
	if adaptive {
		l.want = min(startTransfers, n)
		l.limit = l.want
	}
	return l
}

// restores makes l, which is new, a limiter of ranges that are read.
func (l *limiter) restores() {
	l.restore = true
	if l.adaptive {
		l.want = min(startRanges, l.max)
		l.limit = l.want
	}
}

// update makes the stricter rule the limit. After a change the next sample
// begins a new window.
func (l *limiter) update() {
	if limit := min(l.want, l.ceiling); limit != l.limit {
		l.limit = limit
		l.window.over = true
	}
}

func (l *limiter) restart(s sample) { l.window = window{changed: s.at, start: s} }

// acknowledged is called when a part is stored. Parts whose attempts began
// before the last reduction count too: a store that takes one transfer fewer
// than are running would recover half as fast without them.
func (l *limiter) acknowledged() {
	if !l.adaptive {
		return
	}
	l.quiet++
	l.credit = min(l.credit+1, forgiven*mostForgiven)
	if l.stepping && l.quiet >= l.limit {
		l.stepping, l.patience = false, 1
	}
	if l.quiet >= l.limit*l.patience && l.ceiling < l.max && l.ceiling <= l.want {
		l.quiet, l.stepping = 0, true
		l.ceiling++
		l.update()
	}
}

// congested is called when the store has rejected an attempt that began in
// epoch because there were too many, or when such an attempt has stalled.
// rejections counts those of the part: each is harder to forgive, and so is that
// of a step up.
func (l *limiter) congested(epoch, rejections int) {
	if !l.adaptive || epoch != l.epoch {
		return
	}
	cost := forgiven * rejections
	if l.stepping {
		cost *= 2
	}
	if l.credit >= cost {
		l.credit -= cost
		return
	}
	if l.stepping {
		l.ceiling = max(1, l.limit-1)
		l.patience = min(2*l.patience, mostPatience)
	} else {
		l.ceiling = max(1, l.limit/2)
	}
	l.quiet, l.stepping = 0, false
	l.epoch++
	if t := l.trial.limit; l.ceiling <= t {
		l.want, l.trial = t, trial{}
	} else if t > 0 { // the trial continues with fewer transfers
		l.want = min(l.want, l.ceiling)
	}
	l.update()
}

// observe takes a sample, changes the limit if that is due, and returns when
// it wants the next one at the latest.
func (l *limiter) observe(s sample) time.Duration {
	if !l.adaptive {
		return never
	}
	w := &l.window
	if w.over {
		l.restart(s)
	}
	if s.running == 0 {
		return never
	}
	took := s.at - w.start.at
	rate := float64(s.moved-w.start.moved) / max(took, 1).Seconds()
	part := partTime(s.part, s.running, rate)
	if !w.open && l.settled(s, part) {
		w.open, w.start, w.idle = true, s, false
		took = 0
	}
	enough := l.limit
	if l.want > l.trial.limit && l.trial.limit > 0 {
		enough = l.trial.limit + 1 // memory may not hold as many parts as are tried
	}
	w.idle = w.idle || s.running < enough && !s.waiting
	near := l.near(s)
	// More than sockets' buffers can have taken.
	if moved := s.moved - w.start.moved; took >= 50*time.Millisecond && moved > s.part/32*int64(s.running) {
		free := int(min(freeTime.Seconds()*rate/float64(max(s.part, 1)), float64(2*l.want), float64(l.max)))
		if free > l.want && !near {
			l.want, l.trial = free, trial{}
			l.update()
			return s.at
		}
	}
	if !w.open {
		return s.at + clamp(took/4, 20*time.Millisecond, time.Second)
	}
	full := max(clamp(part/8, time.Second, 4*time.Second), part/64)
	if near {
		full = max(quickTrial, part/32)
	}
	clear := l.want > l.trial.limit && l.trial.limit > 0 && rate >= clearGain*l.trial.rate && took > full/4
	if took < full && (s.acked-w.start.acked < 2*s.running || near) && !clear {
		return w.start.at + min(full, max(took*3/2, 50*time.Millisecond))
	}
	if s.moved-w.start.moved < s.part/128*int64(s.running) { // too few slices to tell
		return s.at + clamp(took/4, 20*time.Millisecond, time.Minute)
	}
	// Where parts take longer than the window, one of few transfers that ends or
	// begins, or most of many, distort the throughput by what their sockets'
	// buffers hold. A window as long as a part evens that out; another one is
	// quicker if parts take long.
	edge := took < part && (2*s.edges > s.running || s.running <= 4 && (s.edges > 0 || s.acked > w.start.acked))
	// Connections that a trial has opened begin slowly.
	early := l.want > l.trial.limit && rate < gain*l.trial.rate && took < part
	if (edge || early) && part <= 8*full {
		return s.at + full/4
	}
	if !edge && (!w.idle || l.restore) {
		l.step(s, rate, part)
	}
	l.restart(s)
	return s.at + 20*time.Millisecond
}

// near reports whether the ranges of a restore wait for their first byte for so
// short a time that only a trial can tell whether more transfers are of use.
func (l *limiter) near(s sample) bool { return l.restore && s.latency < quickStart }

// settled reports whether the transfers run as the last change of the limit
// wants them to, and all of them are moving bytes. One that stalls is not waited
// for longer than sockets' buffers last where a part takes so long.
func (l *limiter) settled(s sample, part time.Duration) bool {
	if s.running > l.limit || s.running < l.limit && s.waiting {
		return false
	}
	w := l.window
	return s.edges == 0 || s.acked-w.start.acked >= 2*s.running || s.at-w.changed > max(time.Minute, part/8)
}

// partTime is how long a part of size bytes takes at that rate of all running
// transfers together.
func partTime(size int64, running int, rate float64) time.Duration {
	if rate < 1 {
		return longPart
	}
	return time.Duration(min(float64(size)*float64(running)/rate*1e9, float64(never/64)))
}

// step ends the trial under way, if there is one, and begins the next one if
// that is due. rate was measured over a whole window, in which a part took so
// long.
func (l *limiter) step(s sample, rate float64, part time.Duration) {
	if t := l.trial; t.limit > 0 {
		l.trial = trial{}
		up, useful := l.want > t.limit, t.rate > gain*rate
		if up {
			useful = rate > 0 && rate >= gain*t.rate
		}
		if useful { // of the two limits, the larger one
			l.failed = 0
			if up {
				l.took = part
				if n := float64(t.limit)*rate/t.rate + 0.5; part > longPart/2 && n < float64(l.want-l.want/8) {
					l.want = int(n)
					l.hold = s.at + max(10*time.Second, part)
					l.update()
					return
				}
			}
		} else {
			l.failed = min(l.failed+1, mostFailed)
			l.hold = s.at + max(10*time.Second, part)<<(l.failed-1)
		}
		if useful != up {
			l.shed = up && !l.near(s)
			if l.want = t.limit; !up {
				l.took = partTime(s.part, t.limit, t.rate)
				l.less = s.at + max(10*time.Second, part)<<l.slower
				l.slower = min(l.slower+1, mostFailed)
			}
			l.update()
			return
		}
	}
	if part < longPart/2 {
		l.took = 0 // the network has changed
	}
	idle := l.window.idle
	switch {
	case l.limit < l.want:
	case !idle && l.want > 1 && part > max(longPart, 2*l.took):
		n := l.want / 2
		if s.acked == 0 {
			n = 1
		}
		l.try(s, rate, n)
	case l.want > 1 && l.near(s) && part < fairPart && s.at >= l.less:
		l.try(s, rate, l.want/2)
		l.shed = false // they are over in an instant
	case !idle && l.want < l.ceiling && s.waiting && s.at >= l.hold && (l.cap == 0 || gain*rate < l.cap):
		n := 2 * l.want
		if l.failed == 0 && !l.near(s) {
			n = max(n, int(longPart.Seconds()*rate/float64(max(s.part, 1))))
		}
		l.try(s, rate, min(n, l.ceiling))
	}
}

func (l *limiter) try(s sample, rate float64, n int) {
	l.trial = trial{l.want, rate}
	l.shed = n < l.want
	l.want = n
	l.update()
}

func clamp[N cmp.Ordered](n, least, most N) N { return max(least, min(n, most)) }
