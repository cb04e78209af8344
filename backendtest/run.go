package backendtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/c1508ce4/sluice"
)

// Store is a backend, and what the kit needs beside it. It may be used for one rule only.
type Store struct {
	Backend sluice.Backend

	// Open opens the finished file of that name, as any reader of the store
	// would. If there is none, the error matches [io/fs.ErrNotExist].
	Open func(name string) (io.ReadCloser, error)

	// Stat tells the content type and the metadata that the finished file was
	// stored with. Where it is nil the rule about them is skipped.
	Stat func(name string) (sluice.FileSpec, error)

	// Size is the size in bytes of the files to upload where the server plans
	// the parts. It must give at least three parts.
	Size int64

	// Keyed is a handle of the store that encrypts with a customer's key. Where it
	// is nil the rule about that is skipped.
	Keyed sluice.Backend
	// ReadName returns the name that the Source of the store finds a finished file
	// by. nil: the file's name.
	ReadName func(sluice.File) string
	// NoOverwrite says that the store rejects a file whose name exists.
	NoOverwrite bool
	// Answers carries the requests of a store that is reached over HTTP, so that
	// the kit can make answers wrong. Where it is nil the rules about that are
	// skipped.
	Answers *Answers

	// Grace is how long a call may go on after its context ended; 0 means 5 seconds.
	Grace time.Duration
}

const defaultGrace = 5 * time.Second

// home is where the kit's files are.
const home = "backendtest/"

// Run checks every rule in a subtest, each on a Store that newStore makes for it.
func Run(t *testing.T, newStore func(t *testing.T) Store) {
	for i, r := range rules() {
		t.Run(fmt.Sprintf("%02d-%s", i+1, r.name), func(t *testing.T) {
			report(t, i+1, r, check(t.Context(), r, newStore(t)))
		})
	}
}

// subtest is what of a [testing.T] a rule's outcome is told to.
type subtest interface {
	Helper()
	Skipf(format string, args ...any)
	Errorf(format string, args ...any)
}

// report tells the outcome of a rule.
func report(t subtest, number int, r rule, err error) {
	t.Helper()
	var missing skipped
	switch {
	case errors.As(err, &missing):
		t.Skipf("rule %d is not checked: %v", number, missing)
	case err != nil:
		t.Errorf("rule %d is broken: %s\n%v", number, r.text, err)
	}
}

// rule is one demand of the contract.
type rule struct {
	name  string
	text  string
	needs []need
	check func(*bench) error
}

// rules are all rules. The number of a rule is its place here, from 1; what
// outlives a new rule is its name.
func rules() []rule {
	var all []rule
	for _, group := range [][]rule{
		vocabularyRules(), singleRules(), largeRules(), refusalRules(), lendingRules(),
		cancelRules(), contextRules(), resumeRules(), sourceRules(), answerRules(),
	} {
		all = append(all, group...)
	}
	return all
}

// skipped is why a rule does not apply to a store.
type skipped string

func (s skipped) Error() string { return string(s) }

// need returns what a store lacks that a rule is about, "" if it has it.
type need func(Store) string

// check sees whether the store keeps a rule: the error is nil, a skipped, or what went wrong.
func check(ctx context.Context, r rule, s Store) error {
	for _, n := range r.needs {
		if lack := n(s); lack != "" {
			return skipped(lack)
		}
	}
	if s.Grace == 0 {
		s.Grace = defaultGrace
	}
	b := &bench{
		Store: s, ctx: ctx, limits: s.Backend.Limits(),
		name: home + rand.Text() + "/" + r.name,
	}
	defer b.tidy()
	return r.check(b)
}

func single(s Store) string {
	if s.Backend.Limits().MaxSingle == 0 {
		return "Limits.MaxSingle is 0: the store has no single upload"
	}
	return ""
}

func noSingle(s Store) string {
	if s.Backend.Limits().MaxSingle != 0 {
		return "Limits.MaxSingle is not 0: short streams go through UploadFile"
	}
	return ""
}

func resumable(s Store) string {
	if !s.Backend.Limits().Resumable {
		return "Limits.Resumable is false: the store cannot resume or list large files"
	}
	return ""
}

func noPlan(s Store) string {
	if s.Backend.Limits().ServerSizesParts {
		return "Limits.ServerSizesParts is true: the store decides the sizes of the parts"
	}
	return ""
}

func plan(s Store) string {
	if !s.Backend.Limits().ServerSizesParts {
		return "Limits.ServerSizesParts is false: the writer decides the sizes of the parts"
	}
	return ""
}

func partDigests(s Store) string {
	if len(s.Backend.Limits().PartDigests) == 0 {
		return "Limits.PartDigests is empty: the store takes parts without digests"
	}
	return ""
}

func wholeDigests(s Store) string {
	if len(s.Backend.Limits().WholeDigests) == 0 {
		return "Limits.WholeDigests is empty: the store asks for no digests of the whole"
	}
	return ""
}

func anyDigests(s Store) string {
	if partDigests(s) != "" && wholeDigests(s) != "" {
		return "Limits.PartDigests and Limits.WholeDigests are empty: the store takes files without digests"
	}
	return ""
}

func onePartEnough(s Store) string {
	if n := s.Backend.Limits().MinParts; n > 1 {
		return fmt.Sprintf("Limits.MinParts is %d: a large file of one part is refused", n)
	}
	return ""
}

func twoPartsNeeded(s Store) string {
	if s.Backend.Limits().MinParts < 2 {
		return "Limits.MinParts is below 2: a large file may have one part"
	}
	return ""
}

func minPart(s Store) string {
	if s.Backend.Limits().MinPart < 2 {
		return "Limits.MinPart is below 2: no part is too small"
	}
	return ""
}

func equalParts(s Store) string {
	if !s.Backend.Limits().EqualParts {
		return "Limits.EqualParts is not set: parts may have several sizes"
	}
	return ""
}

// mostForLimits is the largest part the kit sends only to see it refused, in bytes.
const mostForLimits = 64 << 20

func maxPart(s Store) string {
	switch n := s.Backend.Limits().MaxPart; {
	case n == 0:
		return "Limits.MaxPart is 0: no part is too large"
	case n >= mostForLimits:
		return fmt.Sprintf("Limits.MaxPart is %d: the kit makes no part larger than that", n)
	}
	return ""
}

func stat(s Store) string {
	if s.Stat == nil {
		return "Store.Stat is nil: the kit cannot see metadata"
	}
	return ""
}
