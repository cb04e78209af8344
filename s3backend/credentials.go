package s3backend

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/c1508ce4/sluice/internal/httpx"
)

func (c *client) keys(ctx context.Context) (aws.Credentials, error) {
	keys, err := c.credentials.Retrieve(ctx)
	switch {
	case err != nil:
		return aws.Credentials{}, &keysError{again: c.had.Load(), err: httpx.Clean(err)}
	case keys.AccessKeyID == "":
		return aws.Credentials{}, &keysError{err: fmt.Errorf("the access key ID of %q is empty", keys.Source)}
	case keys.SecretAccessKey == "":
		return aws.Credentials{}, &keysError{err: fmt.Errorf("the secret access key of %q is empty", keys.Source)}
	}
	c.had.Store(true)
	return keys, nil
}

// keysError is a failure to get credentials. After earlier ones it is a passing
// failure of their source; without, the configuration lacks them.
type keysError struct {
	again bool
	err   error
}

func (e *keysError) Error() string { return "credentials: " + e.err.Error() }

func (e *keysError) Unwrap() error { return e.err }

func (c *client) expire() {
	if cache, ok := c.credentials.(invalidator); ok {
		cache.Invalidate()
	}
}

// invalidator is a provider that keeps credentials until it is told that they are
// of no use any more.
type invalidator interface{ Invalidate() }

func environment(ctx context.Context) (aws.Config, error) {
	said, err := config.LoadDefaultConfig(ctx)
	if err == nil && aws.IsCredentialsProvider(said.Credentials, (*ec2rolecreds.Provider)(nil)) {
		role := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = imds.NewFromConfig(said) })
		said.Credentials = aws.NewCredentialsCache(&instanceRole{role, onEC2()})
	}
	return said, err
}

// roleTime is how long a machine that does not look like one of EC2 asks the
// address that answers there. On most others nothing answers.
const roleTime = time.Second

// instanceRole is the last in the usual chain: the environment and files have no
// credentials.
type instanceRole struct {
	provider aws.CredentialsProvider
	expected bool // this machine looks like one of EC2
}

// Retrieve asks for the credentials of the role. An error says what to set.
func (r *instanceRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if !r.expected {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, roleTime)
		defer cancel()
	}
	keys, err := r.provider.Retrieve(ctx)
	if err != nil {
		err = fmt.Errorf("there are none in the AWS environment and files: "+
			"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or Options.Credentials (%w)", err)
	}
	return keys, err
}

// HandleFailToRefresh has the SDK's provider decide whether the cache keeps the old credentials:
// while the instance's service is not available it prolongs them.
func (r *instanceRole) HandleFailToRefresh(ctx context.Context, old aws.Credentials, err error) (aws.Credentials, error) {
	if s, ok := r.provider.(aws.HandleFailRefreshCredentialsCacheStrategy); ok {
		return s.HandleFailToRefresh(ctx, old, err)
	}
	return aws.Credentials{}, err
}

// onEC2 reports whether this machine looks like one of EC2 (EC2 user guide,
// "Detect whether a host is an EC2 instance": documented).
func onEC2() bool {
	for path, sign := range map[string]string{"/sys/class/dmi/id/sys_vendor": "Amazon", "/sys/hypervisor/uuid": "ec2"} {
		if text, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(text), sign) {
			return true
		}
	}
	return false
}

// chain is the usual chain of the AWS environment and files. After Invalidate it
// reads them again: keys in a shared file may have been replaced.
type chain struct {
	mu       sync.Mutex
	provider aws.CredentialsProvider // which keeps them while they last; nil: to be read again
}

// Retrieve returns the credentials of the chain.
func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	provider, err := c.read(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return provider.Retrieve(ctx)
}

// read reads the environment and files, if need be.
func (c *chain) read(ctx context.Context) (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider == nil {
		said, err := environment(ctx)
		if err != nil {
			return nil, err
		}
		c.provider = said.Credentials
	}
	return c.provider, nil
}

// Invalidate has the environment and files read again.
func (c *chain) Invalidate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.provider = nil
}

// checkEnvironment refuses one of two variables that stand for credentials
// together: the usual chain would pass over it, and look elsewhere.
func checkEnvironment() error {
	const id, key = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
	hasID := os.Getenv(id) != "" || os.Getenv("AWS_ACCESS_KEY") != "" // the chain reads both
	hasKey := os.Getenv(key) != "" || os.Getenv("AWS_SECRET_KEY") != ""
	switch {
	case hasID && !hasKey:
		return fmt.Errorf("s3backend: %s is set, but %s is empty", id, key)
	case hasKey && !hasID:
		return fmt.Errorf("s3backend: %s is set, but %s is empty", key, id)
	}
	return nil
}
