package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/s3server"
)

// What the contenders upload to. Each runs in a process of its own.
const (
	toB2      = "b2"
	toSink    = "s3"        // an S3 server that drops, over TLS
	toVersity = "versitygw" // a real one that stores in a folder, over plain HTTP
)

// servers starts servers as they are needed.
type servers struct {
	b2       lab.Servers
	services []*lab.Service
	running  map[string]lab.Address
}

func (s *servers) at(ctx context.Context, name string) (lab.Address, error) {
	if name == toB2 {
		return s.b2.At(ctx, lab.Link{})
	}
	if a, ok := s.running[name]; ok {
		return a, nil
	}
	cmd, err := lab.Command(ctx, name, nil)
	if err != nil {
		return lab.Address{}, err
	}
	var a lab.Address
	service, err := lab.Serve(cmd, &a)
	if err != nil {
		return lab.Address{}, err
	}
	s.services = append(s.services, service)
	s.running[name] = a
	return a, nil
}

// stop ends all of them. Their ends say nothing of what was measured.
func (s *servers) stop() {
	s.b2.Stop()
	for _, service := range s.services {
		_ = service.Stop()
	}
}

// playVersity is the role of who runs the real S3 server, until stdin ends. It is built if it has not been, which
// takes minutes.
func playVersity(ctx context.Context, _ json.RawMessage) (any, error) {
	server, err := s3server.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	const bucket = "bucket"
	if err := server.MakeBucket(bucket); err != nil {
		return nil, err
	}
	a := lab.Address{URL: server.URL, KeyID: s3server.AccessKey, Key: s3server.SecretKey, Bucket: bucket}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return nil, err
}
