package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// large is more than one part of the default size.
var large = strings.Repeat("0123456789abcdef", 9<<16)

// pair is two stores, of which the second fails as the injectors say.
func pair(injectors ...*faults.Injector) (first, second *memorybackend.Backend, both []sluice.Backend) {
	first, second = memorybackend.New(nil), memorybackend.New(nil)
	return first, second, []sluice.Backend{first, faults.New(second, injectors...)}
}

func requireNothingIn(t *testing.T, stores ...*memorybackend.Backend) {
	for _, s := range stores {
		require.Empty(t, s.Names())
		require.Empty(t, s.Leftovers(""))
	}
}

func TestBothStoresHaveTheStream(t *testing.T) {
	for _, content := range []string{"", "short", large} {
		first, second, both := pair()
		files, err := save(t.Context(), both, "f", strings.NewReader(content))
		require.NoError(t, err)
		for i, s := range []*memorybackend.Backend{first, second} {
			require.EqualValues(t, len(content), files[i].Size)
			data, err := fs.ReadFile(s.FS(), "f")
			require.NoError(t, err)
			require.True(t, string(data) == content)
		}
	}
}

func TestASourceThatFailsLeavesNothing(t *testing.T) {
	for _, content := range []string{"short", large} {
		first, second, both := pair()
		errSource := errors.New("the source is broken")
		_, err := save(t.Context(), both, "f", io.MultiReader(strings.NewReader(content), failing{errSource}))
		require.ErrorIs(t, err, errSource)
		requireNothingIn(t, first, second)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Each failure comes a second of virtual time late, when the other store has
// done all that it would.

func TestAStoreThatFailsBeforeItsFinishLeavesNothingInTheOther(t *testing.T) {
	for name, when := range map[string]func() faults.Condition{
		"at the start":        func() faults.Condition { return faults.OnKind(faults.StartLargeFile) },
		"with the first part": func() faults.Condition { return faults.OnPart(1) },
		// which Close sends
		"with the second part": func() faults.Condition { return faults.OnPart(2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second, both := pair(faults.Delay(time.Second, when()), faults.Fail(nil, when()))
				_, err := save(t.Context(), both, "f", strings.NewReader(large))
				require.ErrorIs(t, err, faults.ErrInjected)
				requireNothingIn(t, first, second)
			})
		})
	}
}

// The one outcome that cannot be ruled out is told: the file there is, and an error.
func TestAStoreThatFailsToFinishLeavesOneFileThatIsPrinted(t *testing.T) {
	for content, kind := range map[string]faults.Kind{"short": faults.UploadFile, large: faults.Finish} {
		synctest.Test(t, func(t *testing.T) {
			first, second, both := pair(faults.Delay(time.Second, faults.OnKind(kind)), faults.Fail(nil, faults.OnKind(kind)))
			var stdout, stderr bytes.Buffer
			require.Equal(t, 1, run(t.Context(), both, []string{"f"}, strings.NewReader(content), &stdout, &stderr))
			require.Regexp(t, `^store 1: f .*\n$`, stdout.String())
			require.Contains(t, stderr.String(), "injected failure")
			require.Equal(t, []string{"f"}, first.Names())
			requireNothingIn(t, second)
		})
	}
}

func TestTheProgramRunsWithNothingConfigured(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, demonstrate(t.Context(), []string{"f"}, strings.NewReader(large), &stdout, &stderr), &stderr)
	require.Regexp(t, `^store 1: f \(\S+\), 9437184 bytes\nstore 2: f \(mem-1\), 9437184 bytes\n$`, stdout.String())
	require.Empty(t, stderr.String())
}

func TestMistakesAreToldWithTheUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"-x", "f"}, {"-h"}} {
		_, _, both := pair()
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), both, args, strings.NewReader(""), &stdout, &stderr))
		require.Equal(t, usage, stderr.String())
		require.Empty(t, stdout.String())
	}
}
