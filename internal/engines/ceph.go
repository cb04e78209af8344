package engines

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// cephConf is a cluster of one monitor, one OSD in memory and one RADOS Gateway. SSE-C is allowed
// over plain http, and SSE-KMS has one key.
const cephConf = `[global]
fsid = %[1]s
mon host = [v2:127.0.0.1:%[2]d]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
osd class load list = *
osd class default list = *
mon data = %[4]s/mon
osd data = %[4]s/osd
rgw data = %[4]s/rgw
rgw frontends = beast endpoint=127.0.0.1:%[3]d
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = %[5]s=%[6]s
rgw enable usage log = false
log file = %[4]s/$name.log
run dir = %[4]s
admin socket = %[4]s/$name.asok
pid file = %[4]s/$name.pid
keyring = %[4]s/keyring
setuser match path =
`

// cephVersion is in what ceph --version prints.
var cephVersion = regexp.MustCompile(`version (\S+)`)

func (s *Server) ceph(ctx context.Context) error {
	for _, program := range []string{
		"ceph", "ceph-authtool", "monmaptool", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin",
	} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s: %w (Debian: ceph-common ceph-mon ceph-osd radosgw)", program, ErrMissing)
		}
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	config := filepath.Join(s.folder, "ceph.conf")
	cluster, disk := uuid(), uuid()
	text := fmt.Appendf(nil, cephConf, cluster, ports[0], ports[1], s.folder, KMSKey, kmsSecret)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return err
	}
	for _, folder := range []string{"mon", "osd", "rgw"} {
		if err := os.Mkdir(filepath.Join(s.folder, folder), 0o755); err != nil {
			return err
		}
	}
	tool := func(name string, args ...string) ([]byte, error) {
		return run(ctx, s.folder, name, append([]string{"--conf", config}, args...)...)
	}
	daemon := func(name string, args ...string) (*process, error) {
		return s.begin(exec.CommandContext(ctx, name, append([]string{"--conf", config, "-f"}, args...)...))
	}
	said, err := tool("ceph", "--version")
	if err != nil {
		return err
	}
	if found := cephVersion.FindSubmatch(said); found != nil {
		s.Version = string(found[1])
	}
	rights := []string{"--cap", "mon", "allow *", "--cap", "osd", "allow *"}
	for i, name := range []string{"mon.", "client.admin", "osd.0", "client.rgw"} {
		args := append([]string{"keyring", "--gen-key", "-n", name}, rights...)
		if i == 0 {
			args = append(args, "--create-keyring")
		}
		if _, err := tool("ceph-authtool", args...); err != nil {
			return err
		}
	}
	monitor := "[v2:127.0.0.1:" + strconv.Itoa(ports[0]) + "]"
	if _, err := tool("monmaptool", "--create", "--fsid", cluster, "--addv", "a", monitor, "monmap"); err != nil {
		return err
	}
	if _, err := tool("ceph-mon", "-i", "a", "--mkfs", "--monmap", "monmap", "--keyring", "keyring"); err != nil {
		return err
	}
	if _, err := daemon("ceph-mon", "-i", "a"); err != nil {
		return err
	}
	// Each of these waits until the daemons before it are ready.
	if _, err := tool("ceph", "--connect-timeout", "60", "osd", "new", disk); err != nil {
		return err
	}
	if _, err := tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk); err != nil {
		return err
	}
	if _, err := daemon("ceph-osd", "-i", "0"); err != nil {
		return err
	}
	if _, err := tool("radosgw-admin", "user", "create", "--uid", "tester", "--display-name", "tester",
		"--access-key", AccessKey, "--secret", SecretKey); err != nil {
		return err
	}
	gateway, err := daemon("radosgw", "-n", "client.rgw")
	if err != nil {
		return err
	}
	return s.answers(ctx, fmt.Sprintf("127.0.0.1:%d", ports[1]), gateway)
}

// uuid returns a random UUID.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Objects returns the names of the RADOS objects in Ceph's data pool, with what each contains.
func (s *Server) Objects(ctx context.Context) (map[string][]byte, error) {
	pool := func(args ...string) ([]byte, error) {
		return run(ctx, s.folder, "rados", append([]string{"--conf", "ceph.conf", "-p", "default.rgw.buckets.data"}, args...)...)
	}
	names, err := pool("ls")
	if err != nil {
		return nil, err
	}
	objects := make(map[string][]byte)
	for line := range bytes.Lines(names) {
		name := string(bytes.TrimSuffix(line, []byte("\n")))
		if objects[name], err = pool("get", name, "-"); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
