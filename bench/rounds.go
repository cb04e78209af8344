package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// warmUp is by how much streams are shorter in the round that does not count.
const warmUp = 16

// runRounds runs every job once a round, A B C A B C …, so that what drifts meets all alike, after a round that warms
// up and is forgotten. talk gets what there is to say meanwhile.
func runRounds(ctx context.Context, jobs []job, rounds int, talk progress) (map[job][]sample, error) {
	var servers lab.Servers
	defer servers.Stop()
	results := make(map[job][]sample)
	for round := range rounds + 1 {
		began := time.Now()
		name := fmt.Sprintf("round %d of %d", round, rounds)
		if round == 0 {
			name = "warming up"
		}
		for i, j := range jobs {
			talk.now("%s, %d of %d: %v", name, i+1, len(jobs), j)
			work := j
			if round == 0 {
				work.Size = min(j.Size, max(j.Size/warmUp, 4<<20))
			}
			s, err := runJob(ctx, &servers, order{Job: work})
			if err != nil {
				return nil, fmt.Errorf("%v: %w", j, err)
			}
			if round > 0 {
				results[j] = append(results[j], s)
			}
		}
		took := time.Since(began).Round(time.Second / 10)
		talk.done("%s took %v", name, took)
		if round == 1 && rounds > 1 {
			talk.done("done in about %v", (took * time.Duration(rounds-1)).Round(time.Second))
		}
	}
	return results, nil
}

// progress is told what goes on: on a terminal in one line, which is written over.
type progress struct {
	w        io.Writer
	terminal bool
}

func newProgress(w io.Writer) progress {
	f, ok := w.(*os.File)
	return progress{w, ok && term.IsTerminal(int(f.Fd()))}
}

// now says what begins; it is worth a line only where the next one takes its place.
func (p progress) now(format string, a ...any) {
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K"+format, a...)
	}
}

// done says what has happened.
func (p progress) done(format string, a ...any) {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, format+"\n", a...)
}

// profileRows runs each row's stream once more, with a CPU profile named for the row.
func profileRows(ctx context.Context, rows []row, folder string) error {
	var servers lab.Servers
	defer servers.Stop()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, r := range rows {
		file := strings.NewReplacer("/", "-", " ", "").Replace(r.name) + ".pprof"
		if _, err := runJob(ctx, &servers, order{Job: r.stream, Profile: filepath.Join(folder, file)}); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// runJob runs one job in a process of its own. o.Server is found here.
func runJob(ctx context.Context, servers *lab.Servers, o order) (sample, error) {
	j := o.Job
	var err error
	if j.To == toB2 || j.Work == workPost {
		if o.Server, err = servers.At(ctx, j.Link); err != nil {
			return sample{}, err
		}
	}
	role := "limit"
	if j.Work == workStream {
		role = "stream"
	}
	client, err := lab.Command(ctx, role, o)
	if err != nil {
		return sample{}, err
	}
	var s sample
	if j.From != fromPipe {
		_, err = lab.Run(client, nil, &s)
		return s, err
	}
	source, err := lab.Command(ctx, "source", j.Size)
	if err != nil {
		return sample{}, err
	}
	_, err = lab.Run(client, source, &s)
	return s, err
}
