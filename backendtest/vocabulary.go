package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"reflect"
	"slices"

	"github.com/c1508ce4/sluice"
)

// vocabularyRules are about what a backend says of itself, without I/O.
func vocabularyRules() []rule {
	return []rule{
		{
			name:  "limits",
			text:  "Limits is constant, its numbers do not contradict each other, and every algorithm has a name and makes hashes.",
			check: checkLimits,
		},
		{
			name:  "together",
			text:  "What WriteBatch computes for three to eight hashes of an algorithm is what they compute one by one, whatever the lengths.",
			check: checkBatch,
		},
		{
			name:  "check",
			text:  "Check rejects an empty name, and a size above Limits.MaxFile with an error that matches ErrTooLarge; it accepts an ordinary file, every time.",
			check: checkCheck,
		},
		{
			name:  "unsupported",
			text:  "What Limits declares not to be there answers errors.ErrUnsupported.",
			check: checkUnsupported,
		},
	}
}

func checkLimits(b *bench) error {
	l, again := b.limits, b.Backend.Limits()
	for _, x := range []*sluice.Limits{&l, &again} { // functions do not compare
		x.PartDigests, x.WholeDigests = names(x.PartDigests), names(x.WholeDigests)
	}
	switch {
	case !reflect.DeepEqual(l, again):
		return fmt.Errorf("the first call says %+v, the second %+v", l, again)
	case l.MinPart < 0 || l.MaxPart < 0 || l.MinParts < 0 || l.MaxParts < 0 || l.MaxFile < 0 || l.MaxSingle < 0:
		return fmt.Errorf("a number is negative: %+v", l)
	case l.MaxPart > 0 && l.MinPart > l.MaxPart:
		return fmt.Errorf("MinPart %d is above MaxPart %d", l.MinPart, l.MaxPart)
	case l.MinParts > 2:
		return fmt.Errorf("MinParts is %d, at most 2 can be kept", l.MinParts)
	case l.MaxParts > 0 && l.MinParts > l.MaxParts:
		return fmt.Errorf("MinParts %d is above MaxParts %d", l.MinParts, l.MaxParts)
	case l.MinParts == 2 && l.MaxSingle == 0:
		return errors.New("MinParts is 2 and MaxSingle is 0: a short stream cannot be stored")
	}
	for _, list := range [][]sluice.Algorithm{b.limits.PartDigests, b.limits.WholeDigests} {
		for _, a := range list {
			if a.Name == "" || a.New == nil || a.New() == nil {
				return fmt.Errorf("the algorithm %q makes no hash, or has no name", a.Name)
			}
			h := a.New()
			empty := fmt.Sprintf("%x", h.Sum(nil))
			h.Write([]byte("a hash in use"))
			if fresh := fmt.Sprintf("%x", a.New().Sum(nil)); fresh != empty {
				return fmt.Errorf("the algorithm %q: New returns a hash that is in use", a.Name)
			}
		}
	}
	return nil
}

// checkBatch writes pieces of even and uneven lengths to as many hashes as
// WriteBatch is called with: whole blocks while all hashes are at a block's
// boundary, then lengths that leave some of them between two.
func checkBatch(b *bench) error {
	none := true
	for _, a := range slices.Concat(b.limits.PartDigests, b.limits.WholeDigests) {
		batch, ok := a.New().(interface {
			WriteBatch(hashes []hash.Hash, data [][]byte)
		})
		if !ok {
			continue
		}
		none = false
		for n := 3; n <= 8; n++ {
			hashes, want := make([]hash.Hash, n), make([]hash.Hash, n)
			for i := range n {
				hashes[i], want[i] = a.New(), a.New()
			}
			for _, length := range []struct{ least, step int64 }{{4096, 64}, {64, 0}, {0, 1}, {4096, 0}, {1000, 1}} {
				data := make([][]byte, n)
				for i := range n {
					data[i] = b.random(length.least + length.step*int64(i%3))
					want[i].Write(data[i])
				}
				batch.WriteBatch(hashes, data)
			}
			for i := range n {
				if got, want := hashes[i].Sum(nil), want[i].Sum(nil); !bytes.Equal(got, want) {
					return fmt.Errorf("the algorithm %q: hash %d of %d together is %x, alone %x", a.Name, i, n, got, want)
				}
			}
		}
	}
	if none {
		return skipped("no hash has WriteBatch")
	}
	return nil
}

func names(list []sluice.Algorithm) []sluice.Algorithm {
	var named []sluice.Algorithm
	for _, a := range list {
		named = append(named, sluice.Algorithm{Name: a.Name})
	}
	return named
}

func checkCheck(b *bench) error {
	for range 2 {
		if err := b.Backend.Check(b.spec(b.name)); err != nil {
			return fmt.Errorf("an ordinary file is refused: %w", err)
		}
		if b.Backend.Check(b.spec("")) == nil {
			return errors.New("an empty name is accepted")
		}
		most := b.limits.MaxFile
		if most == 0 {
			continue
		}
		if err := b.Backend.Check(sluice.FileSpec{Name: b.name, Size: most + 1}); !errors.Is(err, sluice.ErrTooLarge) {
			return fmt.Errorf("a file of %d bytes with Limits.MaxFile %d: the error does not match ErrTooLarge: %v", most+1, most, err)
		}
	}
	return nil
}

func checkUnsupported(b *bench) error {
	var checked bool
	if b.limits.MaxSingle == 0 {
		checked = true
		if _, err := b.single(b.ctx, b.name, []byte("x")); !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("UploadFile, with Limits.MaxSingle 0: %v", err)
		}
	}
	if !b.limits.Resumable {
		checked = true
		if _, err := b.resume(b.ctx, b.spec(b.name), ""); !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("ResumeLargeFile, with Limits.Resumable false: %v", err)
		}
		if _, err := b.listed(b.name); !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("calling Unfinished, with Limits.Resumable false: %v", err)
		}
	}
	if !checked {
		return skipped("Limits.MaxSingle is not 0 and Limits.Resumable is true: everything is supported")
	}
	return nil
}
