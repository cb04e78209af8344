package memorybackend

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/minio/sha256-simd"

	"github.com/c1508ce4/sluice"
)

// SHA256 is the algorithm of [DefaultLimits], computed with the instructions
// the processor has for it.
func SHA256() sluice.Algorithm { return sluice.Algorithm{Name: "sha256", New: sha256.New} }

// union is all algorithms of both lists, each once.
func union(x, y []sluice.Algorithm) []sluice.Algorithm {
	all := slices.Clone(x)
	for _, a := range y {
		if !slices.ContainsFunc(all, func(b sluice.Algorithm) bool { return a.Name == b.Name }) {
			all = append(all, a)
		}
	}
	return all
}

// selectDigests copies, of what the caller declares, the digests by the
// algorithms. Every one must be there.
func selectDigests(declared sluice.Digests, algorithms []sluice.Algorithm) (sluice.Digests, error) {
	if len(algorithms) == 0 {
		return nil, nil
	}
	chosen := make(sluice.Digests, 0, len(algorithms))
	for _, a := range algorithms {
		sum := declared.Get(a.Name)
		if len(sum) == 0 {
			return nil, fmt.Errorf("memorybackend: the %s digest is missing", a.Name)
		}
		chosen = append(chosen, sluice.Digest{Name: a.Name, Sum: bytes.Clone(sum)})
	}
	return chosen, nil
}

func cloneDigests(d sluice.Digests) sluice.Digests {
	var c sluice.Digests
	for _, one := range d {
		c = append(c, sluice.Digest{Name: one.Name, Sum: bytes.Clone(one.Sum)})
	}
	return c
}

// sameDigests compares two sets of digests, whatever their order.
func sameDigests(got, want sluice.Digests) error {
	if len(got) != len(want) {
		return fmt.Errorf("it has %d digests, not %d", len(got), len(want))
	}
	for _, w := range want {
		if !bytes.Equal(got.Get(w.Name), w.Sum) {
			return fmt.Errorf("its %s is %x, not %x", w.Name, got.Get(w.Name), w.Sum)
		}
	}
	return nil
}

// verifyWhole checks the digests owed to Finish and returns those by Limits.WholeDigests.
func (b *Backend) verifyWhole(parts []storedPart, whole sluice.Digests) (sluice.Digests, error) {
	digests, err := selectDigests(whole, b.limits.WholeDigests)
	if err != nil || b.discard {
		return digests, err
	}
	var wrong error
	for _, a := range b.limits.WholeDigests {
		h := a.New()
		for _, p := range parts {
			h.Write(p.data)
		}
		wrong = errors.Join(wrong, verify(a.Name, h.Sum(nil), digests))
	}
	return digests, wrong
}

func verify(name string, sum []byte, declared sluice.Digests) error {
	if got := declared.Get(name); !bytes.Equal(got, sum) {
		return fmt.Errorf("memorybackend: the bytes have the %s %x, it is declared as %x", name, sum, got)
	}
	return nil
}
