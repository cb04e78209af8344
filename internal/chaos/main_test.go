package chaos

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run the scenario of this number only, in each test that -run selects")
	fromFlag = flag.Uint64("from", 1, "number of the first scenario of each test")
)

// tally is what the closing line says.
var tally struct {
	scenarios, killed, faults, files, bytes, lost atomic.Int64

	// files that were there though their finish was unknown; in memory, and
	// B2's
	doubtful, doubtfulB2 atomic.Int64
}

// What a whole run has to have.
const (
	leastScenarios = 10_000
	leastKilled    = 200
	leastDoubtful  = 20 // in memory, and of B2's
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(child(spec))
	}
	flag.Parse()
	warmUp()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	began := time.Now()
	code := m.Run()
	fmt.Printf("chaos: %d scenarios, %d killed processes, %d faults fired, %d files verified (%d bytes), bytes lost: %d (%v)\n",
		tally.scenarios.Load(), tally.killed.Load(), tally.faults.Load(), tally.files.Load(), tally.bytes.Load(), tally.lost.Load(),
		time.Since(began).Round(time.Second/10))
	if code != 0 {
		os.Exit(code)
	}
	for _, complaint := range []string{leftover("goroutines", goroutines, runtime.NumGoroutine), leftover("file descriptors", descriptors, openDescriptors), tooFew()} {
		if complaint != "" {
			fmt.Println("chaos: " + complaint)
			code = 1
		}
	}
	os.Exit(code)
}

// tooFew says what a run lacks that is not a part of one by its flags.
func tooFew() string {
	get := func(name string) string { return flag.Lookup("test." + name).Value.String() }
	if *seedFlag != 0 || testing.Short() || get("run") != "" || get("skip") != "" || get("list") != "" || get("fuzz") != "" {
		return ""
	}
	rounds := int64(1 + strings.Count(get("cpu"), ","))
	var count int64
	_, _ = fmt.Sscan(get("count"), &count)
	rounds *= count
	switch n, k, d := tally.scenarios.Load(), tally.killed.Load(), min(tally.doubtful.Load(), tally.doubtfulB2.Load()); {
	case n < rounds*leastScenarios:
		return fmt.Sprintf("%d scenarios are fewer than %d", n, rounds*leastScenarios)
	case k < rounds*leastKilled:
		return fmt.Sprintf("%d killed processes are fewer than %d", k, rounds*leastKilled)
	case d < rounds*leastDoubtful:
		return fmt.Sprintf("%d files of an unknown finish are fewer than %d", d, rounds*leastDoubtful)
	}
	return ""
}

// leftover says how many more there are than before, once what ends by itself
// (a connection whose server is closed) has had time to.
func leftover(what string, before int, count func() int) string {
	deadline := time.Now().Add(5 * time.Second)
	for count() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if now := count(); now > before {
		if what == "goroutines" {
			stacks := make([]byte, 1<<20)
			fmt.Printf("%s\n", stacks[:runtime.Stack(stacks, true)])
		}
		return fmt.Sprintf("%d %s are left of %d before", now, what, before)
	}
	return ""
}

// sweep runs n scenarios, a tenth with -short, in as many lanes as there are
// processors. Each gets its own source of randomness.
func sweep(t *testing.T, n int, scenario func(t *testing.T, rng *rand.Rand)) {
	t.Helper()
	t.Parallel()
	if testing.Short() {
		n = max(1, n/10)
	}
	first, last, lanes := *fromFlag, *fromFlag+uint64(n), uint64(runtime.GOMAXPROCS(0))
	if *seedFlag != 0 {
		first, last, lanes = *seedFlag, *seedFlag+1, 1
	}
	family := fnv.New64a()
	_, _ = family.Write([]byte(t.Name()))
	stream := family.Sum64()
	test := t.Name()
	for lane := range lanes {
		t.Run(fmt.Sprint("lane", lane), func(t *testing.T) {
			t.Parallel()
			for seed := first + lane; seed < last; seed += lanes {
				one(t, test, seed, func() { scenario(t, rand.New(rand.NewPCG(seed, stream))) })
			}
		})
	}
}

// one runs a scenario and says how to make it again if it does not end well.
func one(t *testing.T, test string, seed uint64, scenario func()) {
	done := false
	defer func() {
		if !done || t.Failed() {
			// Not t.Log: a bubble that is stuck ends the whole program.
			fmt.Fprintf(os.Stderr, "chaos: again: go test -C internal/chaos -run '^%s$' -seed=%d\n", test, seed)
		}
	}()
	tally.scenarios.Add(1)
	scenario()
	done = true
}

// bubble makes a scenario run in virtual time. Its end shows that no goroutine of it is left.
func bubble(scenario func(t *testing.T, rng *rand.Rand)) func(*testing.T, *rand.Rand) {
	return func(t *testing.T, rng *rand.Rand) {
		synctest.Test(t, func(t *testing.T) { scenario(t, rng) })
	}
}

// verify compares a stored file with its source, and counts.
func verify(t *testing.T, got, want []byte) {
	t.Helper()
	lost := 0
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			lost++
		}
	}
	lost += max(0, len(got)-len(want))
	tally.files.Add(1)
	tally.bytes.Add(int64(len(want)))
	tally.lost.Add(int64(lost))
	if lost > 0 {
		t.Fatalf("of %d bytes %d differ; %d are stored", len(want), lost, len(got))
	}
}

// content is n bytes that differ from place to place, and from stream to stream.
func content(rng *rand.Rand, n int) []byte { return contentOf(rng.Uint64(), n) }

// contentOf is the content of a key, for a process that has to make it again.
func contentOf(key uint64, n int) []byte {
	key |= 1
	data := make([]byte, n)
	for i := range data {
		x := (uint64(i) + 1) * key
		data[i] = byte(x >> 32)
	}
	return data
}

// oneIn is true once in n times.
func oneIn(rng *rand.Rand, n int) bool { return rng.IntN(n) == 0 }

func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
