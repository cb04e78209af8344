package main

import (
	"context"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// runRounds runs every job in every round. talk gets what there is to say meanwhile.
func runRounds(ctx context.Context, jobs []job, rounds int, talk *lab.Progress) (map[job][]sample, error) {
	var servers lab.Servers
	defer servers.Stop()
	samples, err := lab.Rounds(jobs, rounds, talk, func(j job, warming bool) (sample, error) {
		if warming {
			j.Size = lab.WarmUp(j.Size, 4<<20)
		}
		return runJob(ctx, &servers, order{Job: j})
	})
	if err != nil {
		return nil, err
	}
	results := make(map[job][]sample, len(jobs))
	for i, j := range jobs {
		results[j] = samples[i]
	}
	return results, nil
}

// runJob runs one job in a process of its own. o.Server is found here.
func runJob(ctx context.Context, servers *lab.Servers, o order) (sample, error) {
	j := o.Job
	var err error
	if j.To == toB2 || j.Work == workPost {
		if o.Server, err = servers.At(ctx, toB2, j.Link); err != nil {
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
