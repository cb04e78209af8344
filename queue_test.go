package sluice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// world is a queue and everything that acts on it: hashers, uploaders, the
// store. Events happen one after the other, in an order that the test chooses.
type world struct {
	q         *queue
	parts     int
	uploaders int // started
	offered   map[int]bool
	sending   []*Part // taken by an uploader
	asleep    []*Part // backing off without a slot
	back      []*returning
	rejects   int // still to come
	cuts      int
	acked     []int
	failed    bool
}

func newWorld(parts, uploads, rejects int, adaptive bool) *world {
	w := &world{parts: parts, offered: map[int]bool{}, rejects: rejects, cuts: 1}
	w.q = newQueue(uploads, adaptive, func() { w.uploaders++ })
	w.q.limiter = *wide(uploads, adaptive)
	return w
}

// events are the names of what can happen next.
func (w *world) events() (events []string) {
	for n := 1; n <= w.parts; n++ {
		if !w.offered[n] {
			events = append(events, fmt.Sprint("offer ", n))
		}
	}
	if len(w.offered) == w.parts && !w.q.offered {
		events = append(events, "end")
	}
	if len(w.q.admitted) > 0 && len(w.sending)+len(w.asleep)+len(w.back) < w.uploaders {
		events = append(events, "take")
	}
	for i, p := range w.sending {
		events = append(events, fmt.Sprint("ack ", i), fmt.Sprint("fail ", i))
		if w.rejects > 0 {
			events = append(events, fmt.Sprint("reject ", i))
		}
		if w.cuts > 0 && p.cut != nil {
			events = append(events, fmt.Sprint("cut ", i))
		}
		if p.ended != nil { // its call may still succeed, fail or be rejected
			events = append(events, fmt.Sprint("stop ", i))
		}
	}
	for i := range w.asleep {
		events = append(events, fmt.Sprint("wake ", i))
	}
	for i, r := range w.back {
		if isClosed(r.turn) {
			events = append(events, fmt.Sprint("resume ", i))
		}
	}
	return events
}

// happen has an event happen.
func (w *world) happen(event string) {
	name, rest, _ := strings.Cut(event, " ")
	var i int
	_, _ = fmt.Sscan(rest, &i)
	var p *Part
	if slices.Contains([]string{"ack", "fail", "reject", "stop"}, name) {
		p = w.sending[i]
		w.sending = slices.Delete(w.sending, i, i+1)
	}
	switch name {
	case "offer":
		w.offered[i] = true
		w.q.offer(&Part{Number: i, Size: 100})
	case "end":
		w.q.end()
	case "take":
		p := <-w.q.admitted
		w.q.sending(p, func() {})
		w.sending = append(w.sending, p)
	case "ack":
		w.acked = append(w.acked, p.Number)
		_ = w.q.returned(p)
		w.q.done(p, true)
	case "fail":
		w.failed = true
		_ = w.q.returned(p)
		w.q.done(p, false)
	case "reject":
		w.rejects--
		w.q.reject(p)
		w.asleep = append(w.asleep, p)
	case "cut":
		w.cuts--
		w.q.cutOff(w.sending[i], errStraggler)
	case "stop":
		if w.q.returned(p) == nil {
			panic("an upload that was ended does not know why")
		}
		w.q.takeBack(p)
	case "wake":
		w.back = append(w.back, w.q.comeBack(w.asleep[i]))
		w.asleep = slices.Delete(w.asleep, i, i+1)
	case "resume":
		w.sending = append(w.sending, w.back[i].part)
		w.back = slices.Delete(w.back, i, i+1)
	}
}

// state names everything that decides what can happen next.
func (w *world) state() string {
	numbers := func(parts []*Part) (n []string) {
		for _, p := range parts {
			n = append(n, fmt.Sprint(p.Number, p.epoch, p.cut != nil, p.ended != nil))
		}
		slices.Sort(n)
		return n
	}
	back := 0
	for _, r := range w.back {
		back = back*10 + r.part.Number
	}
	l := w.q.limiter
	return fmt.Sprint(w.q.next, len(w.q.ready), len(w.q.admitted), numbers(w.q.active), numbers(w.q.again), numbers(w.sending), numbers(w.asleep),
		back, len(w.q.returning), w.uploaders, w.rejects, w.cuts, l.limit, l.ceiling, l.quiet, l.credit, l.patience, l.stepping, l.epoch, w.q.offered, w.q.closed, w.offered, w.failed)
}

// TestQueue_EveryOrderOfEventsEnds tries every order of the events of up to
// four parts: parts that are hashed, taken, acknowledged, rejected, ended to be
// started again, and that come back after a backoff. From every state that can
// be reached, once the calls under way return, every part is acknowledged, no
// slot is lost, and the uploaders end; after a failure every part is given back.
func TestQueue_EveryOrderOfEventsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		states := 0
		for _, c := range []struct {
			parts, uploads, rejects int
			adaptive                bool
		}{{1, 1, 2, true}, {2, 1, 2, true}, {3, 2, 2, true}, {3, 2, 2, false}, {4, 2, 1, true}, {4, 3, 1, true}} {
			seen := map[string]bool{}
			paths := [][]string{nil}
			for len(paths) > 0 {
				path := paths[0]
				paths = paths[1:]
				w := newWorld(c.parts, c.uploads, c.rejects, c.adaptive)
				for _, e := range path {
					w.happen(e)
				}
				if s := w.state(); seen[s] {
					continue
				} else {
					seen[s] = true
				}
				states++
				if w.failed {
					w.requireGivesBack(t, path)
					continue
				}
				for _, e := range w.events() {
					paths = append(paths, append(slices.Clone(path), e))
				}
				w.requireEnds(t, path)
			}
		}
		t.Logf("%d states", states)
		require.Greater(t, states, 10_000)
	})
}

// requireEnds lets everything under way return, and looks at what is left.
func (w *world) requireEnds(t *testing.T, path []string) {
	w.rejects, w.cuts = 0, 0
	for {
		events := slices.DeleteFunc(w.events(), func(e string) bool { return strings.HasPrefix(e, "fail") })
		if len(events) == 0 {
			break
		}
		require.LessOrEqual(t, len(w.q.active), w.q.limiter.max, "%v", path)
		w.happen(events[len(events)-1])
	}
	slices.Sort(w.acked)
	want := make([]int, w.parts)
	for i := range want {
		want[i] = i + 1
	}
	require.Equal(t, want, w.acked, "after %v", path)
	require.True(t, w.q.closed, "after %v", path)
	require.Empty(t, w.q.active)
	require.Zero(t, w.q.resting)
	require.LessOrEqual(t, w.uploaders, w.q.limiter.max)
}

// requireGivesBack ends the calls under way, as the failure of a stream does, and
// looks at what is left.
func (w *world) requireGivesBack(t *testing.T, path []string) {
	for _, p := range w.sending {
		w.q.done(p, false)
	}
	for _, p := range w.asleep {
		w.back = append(w.back, w.q.comeBack(p))
	}
	for _, r := range w.back {
		w.q.hurry(r)
		w.q.done(r.part, false)
	}
	w.q.left()
	require.Empty(t, w.q.active, "after %v", path)
	require.Zero(t, len(w.q.ready)+len(w.q.again)+len(w.q.returning)+len(w.q.admitted)+w.q.resting, "after %v", path)
	require.LessOrEqual(t, w.uploaders, w.q.limiter.max)
}

func isClosed(turn <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}

// newTestQueue counts the uploaders that it would start. Every rejection counts.
func newTestQueue(n int, adaptive bool) (q *queue, started *int) {
	started = new(int)
	q = newQueue(n, adaptive, func() { *started++ })
	q.limiter = *wide(n, adaptive)
	return q, started
}

// admittedNow are the parts admitted since it was last called.
func admittedNow(q *queue) (parts []*Part) {
	for len(q.admitted) > 0 {
		parts = append(parts, <-q.admitted)
	}
	return parts
}

func TestQueue_AdmitsByNumberAndNoMoreThanAllowed(t *testing.T) {
	q, started := newTestQueue(2, false)
	q.offer(&Part{Number: 2}) // hashed before the first part
	require.Empty(t, admittedNow(q))
	require.False(t, q.busy())
	q.offer(&Part{Number: 1})
	parts := admittedNow(q)
	require.Len(t, parts, 2)
	require.Equal(t, 1, parts[0].Number)
	require.True(t, q.busy())
	q.offer(&Part{Number: 3})
	require.Empty(t, admittedNow(q))
	q.done(parts[0], true)
	require.Equal(t, 3, admittedNow(q)[0].Number)
	require.Equal(t, 2, *started, "as many uploaders as there were uploads at once")
}

func TestQueue_SkipsWhatNeedsNoUpload(t *testing.T) {
	q, _ := newTestQueue(1, false)
	q.skip(2)
	q.skip(1)
	q.offer(&Part{Number: 3})
	require.Equal(t, 3, admittedNow(q)[0].Number)
	require.Empty(t, q.ready)
}

func TestQueue_GivesBackWhatNoUploaderTook(t *testing.T) {
	q, _ := newTestQueue(1, false)
	q.offer(&Part{Number: 1})
	q.offer(&Part{Number: 2})
	require.Len(t, q.left(), 2)
	require.Empty(t, q.active)
	q.end()
	require.Empty(t, q.left())
}

func TestQueue_ResumesAPartThatBackedOffBeforeNewOnes(t *testing.T) {
	q, _ := newTestQueue(4, true)
	var parts []*Part
	for n := range 4 {
		q.offer(&Part{Number: n + 1})
	}
	parts = admittedNow(q)
	q.reject(parts[1])
	q.reject(parts[0])
	require.Equal(t, 2, q.allowed())
	second, first := q.comeBack(parts[1]), q.comeBack(parts[0])
	q.offer(&Part{Number: 5})
	require.False(t, isClosed(first.turn), "two are under way")
	q.done(parts[2], true)
	require.True(t, isClosed(first.turn), "by number")
	require.False(t, isClosed(second.turn))
	require.Equal(t, q.limiter.epoch, parts[0].epoch)
	q.done(parts[3], false)
	require.True(t, isClosed(second.turn))
	require.Empty(t, admittedNow(q))
}

func TestQueue_CountsTheBytesOfAnUploadThatIsStartedAgainOnce(t *testing.T) {
	for name, again := range map[string]func(q *queue, p *Part){
		"put back": func(q *queue, p *Part) {
			q.cutOff(p, errShed)
			q.takeBack(p)
		},
		"rejected": func(q *queue, p *Part) {
			q.reject(p)
			q.comeBack(p)
		},
	} {
		q, _ := newTestQueue(1, false)
		p := &Part{Number: 1, Size: 6400}
		q.offer(p)
		admittedNow(q)
		p.tried.read(3225)
		require.EqualValues(t, 3200, q.sample().moved, name)
		again(q, p)
		require.Equal(t, []*Part{p}, q.active, name)
		require.EqualValues(t, 3200, q.sample().moved, name)
		p.tried.read(1025)
		require.EqualValues(t, 4200, q.sample().moved, name)
		q.done(p, true)
		require.EqualValues(t, 3200+6400, q.sample().moved, name)
	}
}

func TestQueue_PutsBackWhatHasSentLittle(t *testing.T) {
	q, _ := newTestQueue(4, false)
	var ended []int
	for n, c := range []struct{ size, sent int64 }{{6400, 800}, {6400, 3200}, {6400, 800}, {640, 320}} {
		q.offer(&Part{Number: n + 1, Size: c.size})
		q.active[n].tried.read(c.sent)
		q.sending(q.active[n], func() { ended = append(ended, n+1) })
	}
	q.limiter.limit = 1
	q.mu.Lock()
	q.shed(6400)
	require.Empty(t, ended)
	q.release()
	require.Equal(t, []int{4, 3, 1}, ended, "the latest first, and of a small part more than an eighth")
}

// An upload that backed off because of congestion can straggle afterwards.
func TestQueue_EndsAnUploadThatStragglesAfterABackoff(t *testing.T) {
	q, _ := newTestQueue(2, true)
	p := &Part{Number: 1, Size: 6400}
	q.offer(p)
	admittedNow(q)
	ended := false
	q.sending(p, func() {
		ended = true
		require.True(t, q.mu.TryLock(), "what ends an upload may run any code")
		q.mu.Unlock()
	})
	q.reject(p)
	q.comeBack(p)
	require.Equal(t, []*Part{p}, q.active)
	q.mu.Lock()
	q.cutOff(p, errStraggler)
	q.dispatch()
	require.True(t, ended)
	require.Equal(t, errStraggler, q.returned(p))
}

// An uploader's next part does not end with a call that was to be ended, and
// returned just before.
func TestQueue_EndsNoUploadAfterTheOneThatWasToBeEnded(t *testing.T) {
	for name, first := range map[string]error{"stored": nil, "failed": errors.New("connection reset")} {
		s := &endsLate{first: first}
		w, err := New(t.Context(), s, "f", &Options{MemoryLimit: 4 << 10, PageSize: 512, PartSize: 512, Concurrency: 1})
		require.NoError(t, err, name)
		s.queue = w.pipeline.queue
		_, err = w.Write(make([]byte, 4*512))
		require.NoError(t, err, name)
		require.NoError(t, w.Close(), name)
		require.True(t, s.late, name)
	}
}

// endsLate is a store that takes one upload at a time. During the first one the
// queue decides to end it, and does so only during the next.
type endsLate struct {
	Unsupported
	queue *queue
	first error
	end   []func()
	late  bool
}

func (s *endsLate) Limits() Limits { return Limits{MaxParts: 10_000, MinParts: 2, MaxSingle: 1 << 20} }

func (s *endsLate) StartLargeFile(context.Context, FileSpec) (LargeFile, error) { return s, nil }
func (s *endsLate) Info() LargeFileInfo                                         { return LargeFileInfo{ID: "x"} }
func (s *endsLate) Cancel(context.Context) error                                { return nil }

func (s *endsLate) UploadPart(ctx context.Context, p *Part) (Receipt, error) {
	if s.end == nil {
		s.queue.mu.Lock()
		defer s.queue.mu.Unlock()
		s.queue.cutOff(p, errStraggler)
		s.end, s.queue.ending = s.queue.ending, nil
		return Receipt{Size: p.Size}, s.first
	}
	for _, end := range s.end {
		end()
		s.late = true
	}
	return Receipt{Size: p.Size}, ctx.Err()
}

func (s *endsLate) Finish(context.Context, []Receipt, Digests) (File, error) { return File{}, nil }

func TestQueue_EndsABackoffWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newTestQueue(2, true)
		q.offer(&Part{Number: 1})
		q.offer(&Part{Number: 2})
		parts := admittedNow(q)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 2)
		go func() { ended <- q.rest(ctx, parts[0], time.Hour) }()
		go func() { ended <- q.rest(ctx, parts[1], time.Hour) }()
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		require.Len(t, q.active, 2)
		require.Zero(t, q.resting)
	})
}

func TestPart_BackoffSlowsDownOnlyWhenAsked(t *testing.T) {
	q, _ := newTestQueue(8, true)
	p := &Part{Number: 1, meter: newMeter(nil), queue: q}
	q.offer(p)
	admittedNow(q)
	require.NoError(t, p.Backoff(t.Context(), errors.New("connection reset"), 0))
	require.Equal(t, 8, q.allowed())
	require.NoError(t, p.Backoff(t.Context(), ErrSlowDown, 0))
	require.Equal(t, 4, q.allowed())
	require.NoError(t, p.Backoff(t.Context(), ErrSlowDown, 0))
	require.Equal(t, 2, q.allowed(), "the retry began in the new epoch")
}
