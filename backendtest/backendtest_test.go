package backendtest_test

import (
	"io"
	"testing"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// store shows a memorybackend to the kit.
func store(b *memorybackend.Backend) backendtest.Store {
	return backendtest.Store{
		Backend: b,
		Open:    func(name string) (io.ReadCloser, error) { return b.Open(name) },
		Stat: func(name string) (sluice.FileSpec, error) {
			f, _ := b.File(name)
			return sluice.FileSpec{Name: f.Name, Size: f.Size, ContentType: f.ContentType, Metadata: f.Metadata}, nil
		},
		Size: 2500,
	}
}

// stores are the limits of stores of every sort, in memory.
func stores() map[string]memorybackend.Options {
	b2like := memorybackend.DefaultLimits()
	b2like.MinPart, b2like.MaxPart = 5000, 20_000
	s3like := memorybackend.DefaultLimits()
	s3like.MinParts, s3like.MinPart = 1, 5000
	planned := sluice.Limits{ServerSizesParts: true, WholeDigests: []sluice.Algorithm{memorybackend.SHA256()}}
	equal := s3like
	equal.EqualParts = true
	digests := memorybackend.DefaultLimits()
	digests.WholeDigests = digests.PartDigests
	return map[string]memorybackend.Options{
		"default":       {},
		"b2-like":       {Limits: &b2like},
		"s3-like":       {Limits: &s3like},
		"equal-parts":   {Limits: &equal},
		"server-plans":  {Limits: &planned, PlanPart: 1000},
		"both-digests":  {Limits: &digests},
		"bare-minimum":  {Limits: &sluice.Limits{}},
		"single-upload": {Limits: &sluice.Limits{MaxSingle: 1000, MaxFile: 1e6, MaxParts: 10}},
	}
}

func TestMemoryBackendKeepsTheContract(t *testing.T) {
	for name, o := range stores() {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(*testing.T) backendtest.Store { return store(memorybackend.New(&o)) })
		})
	}
}

func TestFaultsWithoutInjectorsKeepTheContract(t *testing.T) {
	for name, o := range stores() {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(*testing.T) backendtest.Store {
				b := memorybackend.New(&o)
				s := store(b)
				s.Backend = faults.New(b)
				return s
			})
		})
	}
}
