package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// distant is a store at the end of a link, of so many bytes per second for each upload.
type distant struct {
	drop
	latency   time.Duration
	bandwidth int64
}

func (d distant) StartLargeFile(context.Context, sluice.FileSpec) (sluice.LargeFile, error) {
	return d, nil
}

func (d distant) UploadPart(_ context.Context, p *sluice.Part) (sluice.Receipt, error) {
	time.Sleep(d.latency + time.Duration(float64(p.Size)/float64(d.bandwidth)*float64(time.Second)))
	return sluice.Receipt{Number: p.Number, Size: p.Size}, nil
}

// In virtual time nothing but the order in which writers are given memory makes one fall behind.
func TestManyWritersOnOnePoolFareAlike(t *testing.T) {
	const writers, parts, part = 8, 100, 80 << 10
	for _, memory := range []int64{6 * part, 12 * part, 40 * part} {
		synctest.Test(t, func(t *testing.T) {
			s, err := carry(t.Context(), job{
				Work: workStream, To: toDrop, From: fromReader, Size: writers * parts * part, PartSize: part, PageSize: 16 << 10,
				Concurrency: 4, Memory: memory, Writers: writers,
			}, distant{latency: 10 * time.Millisecond, bandwidth: 800e3}, &counter{})
			require.NoError(t, err)
			require.GreaterOrEqual(t, s.Parts, writers*parts)
			require.Positive(t, s.Pages)
			require.LessOrEqual(t, s.Pages, memory)
			t.Logf("%.2f", s.Least)
			require.Greater(t, s.Least, 0.7, "of what the fastest has, the slowest has, in %d bytes", memory)
		})
	}
}
