//go:build !race

package main

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// What is guarded here are counts, and ratios with a wide margin, so that a
// busy machine passes and a second hash, a copy or a request too many does not.
// The race detector allocates and slows, so it is left out.

func measure(t *testing.T, servers *lab.Servers, j job) sample {
	s, err := runJob(t.Context(), servers, order{Job: j})
	require.NoError(t, err)
	return s
}

// The store allocates nothing, so what is counted is the writer's and the runtime's own.
func TestAPartAllocatesNothingFromAnySource(t *testing.T) {
	for _, from := range []string{fromReader, fromWrites, fromPipe} {
		s := measure(t, nil, job{
			Work: workStream, To: toDrop, From: from, Size: 256 << 20, PartSize: 1 << 20, Concurrency: 4, Memory: 16 << 20,
		})
		require.Equal(t, 256, s.Parts)
		require.Positive(t, s.Allocs, "%s: the runtime has some, so none were not counted", from)
		require.Less(t, s.Allocs, 1.0, from)
	}
}

func TestRequestsArePartsAndAConstant(t *testing.T) {
	var servers lab.Servers
	defer servers.Stop()
	const uploads = 4
	for _, parts := range []int{2, 8, 32} {
		s := measure(t, &servers, job{
			Work: workStream, To: toB2, From: fromReader, Size: int64(parts) * 5 << 20, PartSize: 5 << 20, Concurrency: uploads, Memory: 64 << 20,
		})
		require.Equal(t, parts, s.Parts)
		const constant = 4 // authorize, list buckets, start, finish
		require.Greater(t, s.Requests, parts+constant, "and an upload URL")
		require.LessOrEqual(t, s.Requests, parts+constant+2*uploads, "and upload URLs, the ones fetched ahead included")
	}
	s := measure(t, &servers, job{Work: workStream, To: toB2, From: fromReader, Size: 1 << 10, PartSize: 5 << 20, Memory: 64 << 20})
	require.Equal(t, 4, s.Requests, "authorize, list buckets, upload URL, upload")
}

func TestPagesStayWithinTheLimit(t *testing.T) {
	for _, size := range []int64{1 << 10, 64 << 20, 1 << 30} {
		s := measure(t, nil, job{Work: workStream, To: toDrop, From: fromReader, Size: size, PartSize: 4 << 20, Memory: 32 << 20})
		requireWithin(t, s, 32<<20)
		require.LessOrEqual(t, min(size, 32<<20)-8<<20, s.Pages, "of a long stream nearly all is in use")
	}
}

// requireWithin requires that pages were in use, and no more than limit; and so
// the process's memory, with what it has beside them.
func requireWithin(t *testing.T, s sample, limit int64) {
	require.Positive(t, s.Pages)
	require.LessOrEqual(t, s.Pages, limit, "%d bytes", s.Bytes)
	requireMeasured(t)
	require.Positive(t, s.RSS)
	require.LessOrEqual(t, s.RSS, limit+lab.Beside, "%d bytes", s.Bytes)
}

// requireMeasured skips the rest of a test where the system does not tell what a process takes.
func requireMeasured(t *testing.T) {
	if !lab.Measured {
		t.Skip("NOT TESTED: processor time and memory are not measured on this system")
	}
}

// A source's bytes reach the store from the very memory that they were read into.
func TestNothingIsCopiedBetweenTheSourceAndTheStore(t *testing.T) {
	const size, part = 64 << 20, 4 << 20
	source := &addressed{Source: lab.NewSource(lab.NewPage(), size, 0, nil), read: make(map[*byte]int64)}
	w, err := sluice.New(t.Context(), sees{source: source}, "f", &sluice.Options{PartSize: part, MemoryLimit: 32 << 20, Concurrency: 1})
	require.NoError(t, err)
	defer w.Abort(nil)
	_, err = w.ReadFrom(source)
	require.NoError(t, err)
	require.NoError(t, w.Close())

	require.NotEmpty(t, source.sent)
	copied := int64(size)
	for page := range source.read {
		if source.sent[page] {
			copied -= source.read[page]
		}
	}
	// of each part: before its first page is granted, and before all the others
	// are
	const ahead = 2 * 4 << 10
	require.LessOrEqual(t, copied, int64(size/part+1)*ahead)
}

// addressed notes how many bytes were read into which piece of memory. The last
// byte of its capacity names it.
type addressed struct {
	*lab.Source
	read map[*byte]int64
	sent map[*byte]bool
}

func last(p []byte) *byte { p = p[:cap(p)]; return &p[len(p)-1] }

func (a *addressed) Read(p []byte) (int, error) {
	n, err := a.Source.Read(p)
	a.read[last(p)] += int64(n)
	return n, err
}

// sees is a store that notes from which memory it was sent to.
type sees struct {
	drop
	source *addressed
}

func (s sees) StartLargeFile(context.Context, sluice.FileSpec) (sluice.LargeFile, error) {
	return s, nil
}

func (s sees) UploadPart(_ context.Context, p *sluice.Part) (sluice.Receipt, error) {
	body := p.Attempt()
	defer body.Close()
	_, err := body.WriteTo(s)
	return sluice.Receipt{Number: p.Number, Size: p.Size}, err
}

// Write is called by one upload at a time, and read after Close.
func (s sees) Write(p []byte) (int, error) {
	if s.source.sent == nil {
		s.source.sent = make(map[*byte]bool)
	}
	s.source.sent[last(p)] = true
	return len(p), nil
}

var _ io.Writer = sees{}

// Taking, hashing and sending cannot be had cheaper than they are alone. Half
// as much again would be a second hash, or copies through small buffers.
func TestProcessorTimeIsThatOfTakingHashingAndSending(t *testing.T) {
	requireMeasured(t)
	s := defaults()
	s.size = 512 << 20
	rows := []row{s.newRow("guard", s.path(toB2, fromReader, s.size))}
	samples, err := runRounds(t.Context(), jobs(rows), 3, lab.NewProgress(io.Discard))
	require.NoError(t, err)
	o := newResult(nil, rows, 3, samples).Rows[0]
	require.Len(t, o.CPUOver, 3)
	require.Positive(t, o.CPUOver.Min())
	require.Less(t, o.CPUOver.Min(), 1.6, "%v: a busy machine disturbs some rounds, a slower program has none that is fast", o.CPUOver)
}

// Over a link memory is what all wait for.
func TestManyWritersShareOneLimit(t *testing.T) {
	var servers lab.Servers
	defer servers.Stop()
	const limit, writers = 64 << 20, 8
	s := measure(t, &servers, job{
		Work: workStream, To: toB2, From: fromReader, Size: 512 << 20, PartSize: 5 << 20, Concurrency: 4, Memory: limit, Writers: writers,
		Link: lab.Link{Latency: 10 * time.Millisecond, Bandwidth: 50e6},
	})
	require.GreaterOrEqual(t, s.Parts, writers*(512/5/writers))
	requireWithin(t, s, limit)
}
