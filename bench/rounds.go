package main

import (
	"context"
	"fmt"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// warmUp is by how much streams are shorter in the round that does not count.
const warmUp = 16

// runRounds runs every job once a round, A B C A B C …, so that what drifts meets all alike, after a round that warms
// up and is forgotten. talk gets what there is to say meanwhile.
func runRounds(ctx context.Context, jobs []job, rounds int, talk *progress) (map[job][]sample, error) {
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
