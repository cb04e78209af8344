package sluice

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// governed is a governor, and those who ask it: the test plays hashers, uploaders, store and contexts. It makes one move
// after the other, at random among those that there are.
type governed struct {
	*governor
	t   *testing.T
	rng *rand.Rand

	parts    int
	hashing  []int        // numbers still to be offered or passed, in any order
	passes   map[int]bool // of those offered, the ones that need no upload
	started  int          // uploaders
	taken    []int        // numbers, in the order in which uploaders took them
	sending  []*sending   // neither refused nor over
	asleep   []*sending   // refused
	back     []*sending   // their wait is over
	refusals int          // still to come
	hedges   int          // still to be tried
	served   bool         // a part has been acknowledged
}

// sending is a call for a part: the first, or its hedge.
type sending struct {
	part  *Part
	hedge bool
	rest  *returning
}

func newGoverned(t *testing.T, rng *rand.Rand) *governed {
	g := &governed{t: t, rng: rng, parts: rng.IntN(60), passes: map[int]bool{}, refusals: rng.IntN(100), hedges: rng.IntN(10)}
	g.governor = newGovernor(1+rng.IntN(8), true, func() { g.started++ })
	for _, i := range rng.Perm(g.parts) {
		g.hashing = append(g.hashing, i+1)
	}
	return g
}

// pick removes one of list at random.
func pick[T any](rng *rand.Rand, list *[]T) T {
	i, last := rng.IntN(len(*list)), len(*list)-1
	picked := (*list)[i]
	(*list)[i] = (*list)[last]
	*list = (*list)[:last]
	return picked
}

// moves are what can happen next; none once all is over.
func (g *governed) moves() (moves []func()) {
	may := func(when bool, move func()) {
		if when {
			moves = append(moves, move)
		}
	}
	may(len(g.hashing) > 0, g.hash)
	may(len(g.hashing) == 0 && !g.ended, g.end)
	may(len(g.admitted) > 0, g.take)
	may(len(g.sending) > 0, g.finish)
	may(len(g.sending) > 0 && g.refusals > 0, g.refuse)
	may(len(g.sending) > 0 && g.hedges > 0, g.hedge)
	may(len(g.asleep) > 0, g.wake)
	may(len(g.back) > 0, g.giveUp)
	may(len(g.sending) > 0, g.giveUpTooLate)
	return moves
}

func (g *governed) hash() {
	number := pick(g.rng, &g.hashing)
	if g.rng.IntN(8) == 0 {
		g.passes[number] = true
		g.pass(number)
		return
	}
	g.offer(&Part{Number: number})
}

func (g *governed) take() {
	p := <-g.admitted
	g.taken = append(g.taken, p.Number)
	g.sending = append(g.sending, &sending{part: p})
	require.LessOrEqual(g.t, len(g.taken)-g.over(), g.started, "an uploader for every part under way")
}

// over is how many parts were taken and have left.
func (g *governed) over() int {
	n := len(g.taken)
	for _, list := range [][]*sending{g.sending, g.asleep, g.back} {
		for _, s := range list {
			if !s.hedge {
				n--
			}
		}
	}
	return n
}

func (g *governed) finish() {
	s := pick(g.rng, &g.sending)
	acknowledged := !s.hedge && g.rng.IntN(10) > 0
	g.served = g.served || acknowledged
	g.leave(acknowledged)
}

func (g *governed) refuse() {
	g.refusals--
	s := pick(g.rng, &g.sending)
	g.refused(s.part)
	g.asleep = append(g.asleep, s)
}

func (g *governed) hedge() {
	g.hedges--
	s := g.sending[g.rng.IntN(len(g.sending))]
	if g.enterAfter(g.parts) {
		require.Len(g.t, g.taken, g.parts-len(g.passes)-len(g.admitted), "every part is let in before")
		require.LessOrEqual(g.t, g.running+g.kept, g.allowed())
		g.sending = append(g.sending, &sending{part: s.part, hedge: true})
	}
}

func (g *governed) wake() {
	s := pick(g.rng, &g.asleep)
	s.rest = g.comeBack(s.part)
	g.back = append(g.back, s)
}

// giveUp is what follows when the context of one that waits for room ends.
func (g *governed) giveUp() {
	s := pick(g.rng, &g.back)
	g.goOn(s.rest)
	require.True(g.t, isDone(s.rest.turn))
	g.sending = append(g.sending, s)
}

// giveUpTooLate is the same at the moment when it goes on anyway.
func (g *governed) giveUpTooLate() {
	if s := g.sending[g.rng.IntN(len(g.sending))]; s.rest != nil {
		g.goOn(s.rest)
	}
}

// check makes one move, and then fails unless the governor holds what it promises.
func (g *governed) check(move func()) {
	entered := len(g.admitted) + len(g.taken)
	move()
	t := g.t
	waits := g.back[:0:0]
	for _, s := range g.back {
		if isDone(s.rest.turn) {
			require.LessOrEqual(t, g.running, g.allowed(), "it goes on where there is room")
			g.sending = append(g.sending, s)
		} else {
			waits = append(waits, s)
		}
	}
	g.back = waits
	require.Equal(t, len(g.sending)+len(g.admitted), g.running)
	require.Equal(t, len(g.asleep)+len(g.back), g.resting)
	require.GreaterOrEqual(t, g.kept, 0)
	require.LessOrEqual(t, g.kept, g.resting)
	if !g.served {
		require.Equal(t, g.resting, g.kept, "a store that serves nobody is left alone")
	}
	require.LessOrEqual(t, g.running+g.resting, g.max)
	require.LessOrEqual(t, g.started, g.max)
	require.GreaterOrEqual(t, g.allowed(), 1)
	require.LessOrEqual(t, g.allowed(), g.max)
	if len(g.admitted)+len(g.taken) > entered {
		require.LessOrEqual(t, g.running+g.kept, g.allowed(), "a part is let in where there is room")
	}
	if len(g.back) > 0 {
		require.GreaterOrEqual(t, g.running, g.allowed(), "nobody waits where there is room")
	}
	if g.room() {
		for _, p := range g.waiting {
			require.NotEqual(t, g.next, p.Number, "the next part does not wait where there is room")
		}
	}
}

// requireOver fails unless every part was let in once, in order, nobody is left, and the uploaders end.
func (g *governed) requireOver() {
	var want []int
	for n := 1; n <= g.parts; n++ {
		if !g.passes[n] {
			want = append(want, n)
		}
	}
	require.Equal(g.t, want, g.taken)
	_, ok := <-g.admitted
	require.False(g.t, ok)
	require.Zero(g.t, g.running)
	require.Zero(g.t, g.resting)
	require.Zero(g.t, g.kept)
	require.Empty(g.t, g.waiting)
	require.Empty(g.t, g.left())
}

func TestGovernorUnderEveryOrderOfMoves(t *testing.T) {
	for seed := range uint64(300) {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			g := newGoverned(t, rng)
			for moves := g.moves(); len(moves) > 0; moves = g.moves() {
				g.check(moves[rng.IntN(len(moves))])
			}
			g.requireOver()
		})
		if !ok {
			return // one is enough to look at
		}
	}
}
