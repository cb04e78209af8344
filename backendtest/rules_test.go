package backendtest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// outcomes checks all rules, each in virtual time on a store of its own that
// takes some milliseconds for every call, and returns what was broken and what
// was skipped, by the rule's name.
func outcomes(t *testing.T, newStore func() (s Store, release func())) (broken, skips map[string]error) {
	broken, skips = make(map[string]error), make(map[string]error)
	for _, r := range rules() {
		synctest.Test(t, func(t *testing.T) {
			s, release := newStore()
			err := check(t.Context(), r, s)
			release()
			time.Sleep(time.Second) // virtual: for calls that hung until now
			var missing skipped
			if errors.As(err, &missing) {
				skips[r.name] = err
			} else if err != nil {
				broken[r.name] = err
			}
		})
	}
	return broken, skips
}

const latency = 10 * time.Millisecond

func outcomesOfSloppy(t *testing.T, defect string) (broken, skips map[string]error) {
	return outcomes(t, func() (Store, func()) {
		s := newSloppy(defect)
		s.latency = latency
		store := Store{Backend: s, Open: s.open, Stat: s.stat, Size: 3000, Answers: s.answers}
		if s.limits.MaxSingle > 0 {
			store.Keyed = keyHandle{s}
		}
		return store, func() { close(s.release) }
	})
}

func sortedKeys(m map[string]error) []string { return slices.Sorted(maps.Keys(m)) }

func TestASoundStoreBreaksNoRule(t *testing.T) {
	broken, skips := outcomesOfSloppy(t, "")
	require.Empty(t, broken)
	require.Equal(t, []string{"large-empty", "large-one-part", "part-equal", "part-plan", "unsupported"}, sortedKeys(skips))
}

func TestTheKitKeepsToItsOwnNamesAndLeavesNothingUnfinished(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSloppy("")
				s.latency = latency
				_ = check(t.Context(), r, Store{Backend: s, Open: s.open, Stat: s.stat, Size: 3000})
				for _, u := range s.uploads {
					require.True(t, strings.HasPrefix(u.spec.Name, "backendtest/"), u.spec.Name)
					require.NotEmpty(t, u.over, u.spec.Name)
				}
				for name := range s.files {
					require.True(t, strings.HasPrefix(name, "backendtest/"), name)
				}
			})
		})
	}
}

func TestASlowMemoryBackendBreaksNoRule(t *testing.T) {
	broken, skips := outcomes(t, func() (Store, func()) {
		limits := memorybackend.DefaultLimits()
		limits.MinPart, limits.MaxPart = 2000, 10_000
		limits.WholeDigests = limits.PartDigests
		b := memorybackend.New(&memorybackend.Options{Limits: &limits, Latency: latency / 2, Bandwidth: 1e6})
		return Store{Backend: b, Open: func(name string) (io.ReadCloser, error) { return b.Open(name) }}, func() {}
	})
	require.Empty(t, broken)
	require.Equal(t, []string{
		"answer-cut", "answer-length", "answer-no-length", "answer-other", "answer-short", "answer-whole",
		"large-empty", "large-one-part", "metadata", "part-equal", "part-plan", "source-key", "source-metadata", "together", "unsupported",
	}, sortedKeys(skips))
}

// endedRules are those about contexts that have ended.
var endedRules = []string{
	"ended-single", "ended-start", "ended-part", "ended-finish", "ended-cancel", "ended-look", "cut-single", "cut-start", "cut-part",
	"source-ended", "source-cut", "remove",
}

// and returns the rule that is meant to see a defect, and all that read files,
// which may see it too.
func and(meant string) []string {
	seen := []string{meant}
	for _, r := range slices.Concat(sourceRules(), answerRules()) {
		seen = append(seen, r.name)
	}
	return seen
}

// defects tells which rule is meant to see a defect of sloppy, and after it the
// others that may see it too because they go the same way.
func defects() map[string][]string {
	return map[string][]string{
		"limits change":      {"limits"},
		"mixes lanes":        {"together"},
		"accepts no name":    {"check"},
		"any size":           {"check"},
		"too large is plain": {"check"},
		"no ErrUnsupported":  {"unsupported"},

		"drops empty files":      and("single-empty"),
		"doubles single bytes":   and("single-byte"),
		"cuts off the last byte": and("single-exact"),
		"no single digest check": {"single-digest"},
		"any single size":        {"single-size"},
		"loses metadata":         {"metadata"},

		"order of arrival":      {"part-order", "part-concurrent", "part-again", "part-digest", "finish-gap", "resume-id"},
		"info changes":          {"large-info"},
		"visible before finish": {"large-hidden", "part-small", "finish-gap", "finish-digest", "cancel-removes", "ended-finish", "source-none"},
		"first part wins":       {"part-again", "cut-part"},
		"wrong size in receipt": {"receipt"},
		"ignores tags":          {"receipt-tag"},
		"same id by name":       {"large-same-name"},
		"wrong count of parts":  {"large-exact"},
		"one part at a time":    {"part-concurrent"},
		"needs two parts":       {"large-one-part"},
		"no empty part":         {"large-empty"},
		"ignores its plan":      {"part-plan"},

		"no part digest check":  {"part-digest"},
		"any part number":       {"part-number"},
		"small parts":           {"part-small"},
		"unequal parts":         {"part-equal"},
		"large parts":           {"part-large"},
		"accepts gaps":          {"finish-gap", "part-digest"},
		"gap cancels":           {"finish-gap", "part-digest"},
		"no parts":              {"finish-none"},
		"few parts":             {"finish-few"},
		"no whole digest check": {"finish-digest"},

		"keeps single":         {"lent-single"},
		"keeps single digests": {"lent-single"},
		"keeps part":           {"lent-part"},
		"keeps part digests":   {"lent-part"},
		"keeps whole digests":  {"lent-finish"},
		"changes bytes":        {"lent-unchanged"},
		"changes digests":      {"lent-unchanged"},

		"forgets cancel":          {"cancel-removes", "part-after-cancel", "cut-start", "resume-cancel", "unfinished"},
		"finishes after cancel":   {"cancel-removes"},
		"second cancel fails":     {"cancel-twice"},
		"cancel removes the file": {"cancel-finished"},
		"parts after cancel":      {"part-after-cancel"},
		"parts after finish":      {"part-after-finish"},
		"keeps ctx of start":      {"cancel-detached"},

		"dead ctx in UploadFile":      {"ended-single"},
		"dead ctx in StartLargeFile":  {"ended-start"},
		"dead ctx in UploadPart":      {"ended-part"},
		"dead ctx in Finish":          {"ended-finish"},
		"dead ctx in Cancel":          {"ended-cancel"},
		"dead ctx in ResumeLargeFile": {"ended-look"},
		"dead ctx in Unfinished":      {"ended-look"},

		"hides the cause":           endedRules,
		"hides the context's error": endedRules,

		"ignores ctx in UploadFile":     {"cut-single"},
		"ignores ctx in StartLargeFile": {"cut-start"},
		"ignores ctx in UploadPart":     {"cut-part"},
		"ignores ctx in Finish":         {"cut-finish"},
		"other error in UploadFile":     {"cut-single"},
		"other error in StartLargeFile": {"cut-start"},
		"other error in UploadPart":     {"cut-part"},
		"stores though ctx ended":       {"cut-single"},
		"start leaves a large file":     {"cut-start"},
		"finish fails after the work":   {"cut-finish"},

		"lists newest first":    {"unfinished"},
		"ignores the prefix":    {"unfinished"},
		"ignores break":         {"unfinished-break"},
		"stored unsorted":       {"resume-id"},
		"resumes the oldest":    {"resume-name", "resume-outdated"},
		"resumes the outdated":  {"resume-outdated"},
		"resume none is plain":  {"resume-none", "resume-outdated"},
		"resumes other names":   {"resume-other"},
		"resume other is plain": {"resume-other"},

		"cancels only what it started": {"resume-cancel"},

		"stat without id":     and("source-stat"),
		"stat loses metadata": {"source-metadata"},
		"lies of digests":     {"source-digests"},
		"lies of parts":       {"source-digests"},
		"no file is plain":    {"source-none", "remove"},
		"range off by one":    and("source-range"),
		"pads beyond the end": {"source-beyond"},
		"starts over":         and("source-resumed"),

		"reads what is newest": {"source-replaced"},
		"replaced is plain":    {"source-replaced"},

		"lists files backwards":  {"source-list"},
		"lists unfinished files": {"source-list"},
		"lists any name":         {"source-list"},
		"list ignores break":     {"source-list-break"},

		"dead ctx in Stat":         {"source-ended"},
		"dead ctx in ReadRange":    {"source-ended"},
		"dead ctx in List":         {"source-ended"},
		"ignores ctx in ReadRange": {"source-cut"},
		"other error in ReadRange": {"source-cut"},

		"removes nothing":    {"remove"},
		"dead ctx in Remove": {"remove"},
		"removes by name":    {"remove-replaced"},
		"needs no key":       {"source-key"},

		"resumes nothing":                  {"answer-cut", "answer-short"},
		"takes a short answer":             {"answer-short"},
		"takes the whole file for a range": {"answer-whole"},
		"takes any range":                  {"answer-other"},
		"takes any length":                 {"answer-length"},
		"takes no length":                  {"answer-no-length"},
	}
}

func TestEveryDefectIsCaughtByTheRuleMeantForIt(t *testing.T) {
	for defect, want := range defects() {
		t.Run(defect, func(t *testing.T) {
			if defect == "changes bytes" && testutil.Race {
				t.Skip("the race detector ends the test before the rule is seen to fail: run without -race")
			}
			broken, _ := outcomesOfSloppy(t, defect)
			require.Contains(t, broken, want[0])
			require.Subset(t, want, sortedKeys(broken), "%v", broken)
		})
	}
}

func TestEveryRuleHasADefectThatBreaksIt(t *testing.T) {
	seen := make(map[string]bool)
	for _, names := range defects() {
		seen[names[0]] = true
	}
	for _, r := range rules() {
		if !seen[r.name] {
			t.Errorf("no defect is meant for the rule %s", r.name)
		}
	}
}

func TestRulesAreNamedOnceAndSpelledOut(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range rules() {
		require.False(t, seen[r.name], r.name)
		seen[r.name] = true
		require.True(t, strings.HasSuffix(r.text, "."), r.name)
	}
}

func TestRulesAboutCallsCutShortAreSkippedOnAFastStore(t *testing.T) {
	broken, skips := outcomes(t, func() (Store, func()) { // no time passes in its calls
		b := memorybackend.New(nil)
		return Store{Backend: b, Open: func(name string) (io.ReadCloser, error) { return b.Open(name) }}, func() {}
	})
	require.Empty(t, broken)
	for _, name := range []string{"cut-single", "cut-start", "cut-part", "cut-finish"} {
		require.ErrorIs(t, skips[name], error(notCut), name)
	}
}

// recorder is a subtest that keeps what it is told.
type recorder struct{ skip, failure string }

func (*recorder) Helper()                             {}
func (r *recorder) Skipf(format string, args ...any)  { r.skip = fmt.Sprintf(format, args...) }
func (r *recorder) Errorf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }

func TestABrokenRuleIsPrinted(t *testing.T) {
	var told recorder
	report(&told, 7, rule{text: "Files are kept."}, errors.New("the file is gone"))
	require.Equal(t, recorder{failure: "rule 7 is broken: Files are kept.\nthe file is gone"}, told)
}

func TestASkippedRuleNamesTheLimit(t *testing.T) {
	var told recorder
	s := Store{Backend: memorybackend.New(&memorybackend.Options{Limits: &sluice.Limits{}})}
	r := rule{text: "Files are kept.", needs: []need{single}}
	report(&told, 7, r, check(t.Context(), r, s))
	require.Equal(t, recorder{
		skip: "rule 7 is not checked: Limits.MaxSingle is 0: the store has no single upload",
	}, told)
}

func TestAKeptRuleTellsNothing(t *testing.T) {
	var told recorder
	report(&told, 7, rule{}, nil)
	require.Zero(t, told)
}
