package engines

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Kind is a store's program.
type Kind string

// The kinds of store.
const (
	Versitygw Kind = "versitygw"
	Gofakes3  Kind = "gofakes3" // a fake, which ignores the headers that it does not know
	Ceph      Kind = "ceph"
	MinIO     Kind = "minio"
	SeaweedFS Kind = "seaweedfs"
)

// AccessKey and SecretKey are the credentials of every server, and Region is what requests are
// signed for.
const (
	AccessKey = "sluice-test"
	SecretKey = "a secret that is no secret"
	Region    = "us-east-1"
)

// KMSKey is the ID of a key for SSE-KMS, of the servers that have any.
const KMSKey = "testkey-1"

// kmsSecret is that key, in base64.
const kmsSecret = "YWxsIHplcm8gaXMgbm90IGEgdmVyeSBnb29kIGtleSE="

// Server is a running store.
type Server struct {
	Kind    Kind
	Version string // of a release, or the date of a commit
	URL     string // http://127.0.0.1:port, of MinIO with https
	Data    string // of versitygw: the folder of the buckets
	CA      string // of MinIO: the file of the certificate to trust
	// Transport carries requests to the server.
	Transport *http.Transport

	folder    string
	processes []*process
}

// startTime is how long a server may take until it answers.
const startTime = time.Minute

// ErrMissing means that a program is not installed, and cannot be built either.
var ErrMissing = errors.New("not installed")

// Start builds the store if need be, and runs it until Close is called or ctx ends. The error
// matches [ErrMissing] if the store comes from packages that are not installed.
func Start(ctx context.Context, kind Kind) (*Server, error) {
	start := map[Kind]func(*Server, context.Context) error{
		Versitygw: (*Server).versitygw, Gofakes3: (*Server).gofakes3, Ceph: (*Server).ceph,
		MinIO: (*Server).minio, SeaweedFS: (*Server).seaweedfs,
	}[kind]
	if start == nil {
		return nil, fmt.Errorf("engines: there is no %q", kind)
	}
	// A port that is free now may be taken when the server asks for it.
	for tries := 1; ; tries++ {
		folder, err := os.MkdirTemp("", "engine")
		if err != nil {
			return nil, fmt.Errorf("engines: %w", err)
		}
		s := &Server{
			Kind: kind, Version: sources[kind].name(), folder: folder,
			Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		}
		if err = start(s, ctx); err == nil {
			return s, nil
		}
		err = errors.Join(fmt.Errorf("engines: %s: %w", kind, err), s.Close())
		if tries == 3 || ctx.Err() != nil || errors.Is(err, ErrMissing) {
			return nil, err
		}
	}
}

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	s.Transport.CloseIdleConnections()
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].stop()
	}
	return os.RemoveAll(s.folder)
}

func (s *Server) versitygw(ctx context.Context) error {
	s.Data = filepath.Join(s.folder, "data")
	// metadata, so that the folder need not have extended attributes
	sidecar := filepath.Join(s.folder, "sidecar")
	for _, folder := range []string{s.Data, sidecar} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	}
	return s.serve(ctx, nil, func(address string) []string {
		return []string{
			"--access", AccessKey, "--secret", SecretKey, "--region", Region,
			"--port", address, "--keep-alive", "--quiet", "posix", "--sidecar", sidecar, s.Data,
		}
	})
}

func (s *Server) gofakes3(ctx context.Context) error {
	return s.serve(ctx, nil, func(address string) []string {
		return []string{"-backend", "memory", "-host", address, "-quiet"}
	})
}

func (s *Server) minio(ctx context.Context) error {
	env := []string{
		"MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey,
		"MINIO_KMS_SECRET_KEY=" + KMSKey + ":" + kmsSecret, "MINIO_UPDATE=off", "MINIO_BROWSER=off",
	}
	certificates := filepath.Join(s.folder, "certificates")
	if err := s.certify(certificates); err != nil { // it takes customers' keys over TLS alone
		return err
	}
	return s.serve(ctx, env, func(address string) []string {
		return []string{"server", "--quiet", "--address", address, "--certs-dir", certificates, filepath.Join(s.folder, "data")}
	})
}

func (s *Server) seaweedfs(ctx context.Context) error {
	config := filepath.Join(s.folder, "s3.json")
	text := fmt.Sprintf(`{"identities":[{"name":"tester","credentials":[{"accessKey":%q,"secretKey":%q}],`+
		`"actions":["Admin","Read","Write","List","Tagging"]}]}`, AccessKey, SecretKey)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	ports, err := freePorts(8)
	if err != nil {
		return err
	}
	return s.serve(ctx, nil, func(address string) []string {
		_, port, _ := net.SplitHostPort(address)
		args := []string{
			"server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=" + s.folder, "-s3",
			"-s3.config=" + config, "-s3.port=" + port,
			// Every bucket takes volumes of its own.
			"-volume.max=10000", "-master.volumeSizeLimitMB=64",
		}
		for i, name := range []string{
			"master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
			"filer.port", "filer.port.grpc", "s3.port.grpc",
		} {
			args = append(args, fmt.Sprintf("-%s=%d", name, ports[i]))
		}
		return args
	})
}

// serve builds the server's program and runs it. args are made of the address that it shall have.
func (s *Server) serve(ctx context.Context, env []string, args func(address string) []string) error {
	program, err := built(ctx, s.Kind)
	if err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	cmd := exec.CommandContext(ctx, program, args(address)...)
	cmd.Env = append(os.Environ(), env...)
	p, err := s.begin(cmd)
	if err != nil {
		return err
	}
	return s.answers(ctx, address, p)
}

// begin starts a process of the server's, in its folder.
func (s *Server) begin(cmd *exec.Cmd) (*process, error) {
	cmd.Dir = s.folder
	p, err := begin(cmd)
	if err == nil {
		s.processes = append(s.processes, p)
	}
	return p, err
}

// answers sets the server's URL, and returns once the process that is to answer there does.
func (s *Server) answers(ctx context.Context, address string, p *process) error {
	s.URL = "http://" + address
	if s.CA != "" {
		s.URL = "https://" + address
	}
	return p.until(ctx, func() bool {
		a, err := s.Ask(ctx, http.MethodGet, "/", nil, nil)
		return err == nil && a.Status < http.StatusInternalServerError
	})
}

// freePorts returns ports of the loopback address that are free.
func freePorts(n int) ([]int, error) {
	var ports []int
	var listeners []net.Listener
	var err error
	for len(ports) < n && err == nil {
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			listeners = append(listeners, l)
			ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		}
	}
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return ports, err
}
