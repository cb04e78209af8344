package s3server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// AccessKey and SecretKey are the credentials of every server. Region is what it wants requests signed for.
const (
	AccessKey = "sluice-test"
	SecretKey = "a secret that is no secret"
	Region    = "us-east-1"
)

// Server is a running server.
type Server struct {
	URL  string // http://127.0.0.1:port
	Data string // the folder of the buckets

	folder string
	stop   context.CancelFunc
	ended  chan struct{}
	output *output
}

// startTime is how long a server may take until it answers.
const startTime = 30 * time.Second

// Start builds the server if need be, and runs it on a free port of the loopback address over a folder of its
// own, until Close.
func Start(ctx context.Context) (*Server, error) {
	program, err := built(ctx)
	if err != nil {
		return nil, err
	}
	// A port that is free now may be taken when the server asks for it.
	for tries := 1; ; tries++ {
		s, err := start(ctx, program)
		if err == nil || tries == 5 || ctx.Err() != nil {
			return s, err
		}
	}
}

func start(ctx context.Context, program string) (*Server, error) {
	folder, err := os.MkdirTemp("", "s3server")
	if err != nil {
		return nil, fmt.Errorf("s3server: %w", err)
	}
	s := &Server{Data: filepath.Join(folder, "data"), folder: folder, ended: make(chan struct{}), output: new(output)}
	if err := s.run(ctx, program); err != nil {
		return nil, errors.Join(fmt.Errorf("s3server: %w\n%s", err, s.output), os.RemoveAll(folder))
	}
	return s, nil
}

func (s *Server) run(ctx context.Context, program string) error {
	sidecar := filepath.Join(s.folder, "sidecar") // metadata, so that the folder need not have extended attributes
	for _, folder := range []string{s.Data, sidecar} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s.URL = "http://" + address
	ctx, s.stop = context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, "--access", AccessKey, "--secret", SecretKey, "--region", Region,
		"--port", address, "--keep-alive", "--quiet", "posix", "--sidecar", sidecar, s.Data)
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := cmd.Start(); err != nil {
		s.stop()
		return err
	}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // it is killed in the end
	}()
	if err := s.answers(address); err != nil {
		s.stop()
		<-s.ended
		return err
	}
	return nil
}

// answers returns once the server takes connections.
func (s *Server) answers(address string) error {
	late := time.After(startTime)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-s.ended:
			return errors.New("the server ended at once")
		case <-late:
			return fmt.Errorf("the server does not answer within %v", startTime)
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// MakeBucket makes an empty bucket: a folder.
func (s *Server) MakeBucket(name string) error { return os.Mkdir(filepath.Join(s.Data, name), 0o755) }

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	s.stop()
	<-s.ended
	return os.RemoveAll(s.folder)
}

// output keeps what the server says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(q []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(q)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
