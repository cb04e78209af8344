package s3backend

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// placed is what the AWS environment and files say of where the store is.
type placed struct {
	fips, dualStack, ignore bool
	service                 string // the endpoint_url of s3 in the profile's services
}

// readPlace asks the environment and then the profile. What says something first
// decides.
func readPlace(ctx context.Context, said aws.Config) (p placed, err error) {
	var fips, dualStack, ignore, service bool // said
	for _, source := range said.ConfigSources {
		s, ok := source.(interface {
			GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error)
			GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error)
			GetIgnoreConfiguredEndpoints(context.Context) (bool, bool, error)
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		})
		if !ok {
			continue
		}
		var errs [4]error
		if !fips {
			var state aws.FIPSEndpointState
			state, fips, errs[0] = s.GetUseFIPSEndpoint(ctx)
			p.fips = state == aws.FIPSEndpointStateEnabled
		}
		if !dualStack {
			var state aws.DualStackEndpointState
			state, dualStack, errs[1] = s.GetUseDualStackEndpoint(ctx)
			p.dualStack = state == aws.DualStackEndpointStateEnabled
		}
		if !ignore {
			p.ignore, ignore, errs[2] = s.GetIgnoreConfiguredEndpoints(ctx)
		}
		if !service {
			p.service, service, errs[3] = s.GetServiceBaseEndpoint(ctx, "S3")
		}
		if err := errors.Join(errs[:]...); err != nil {
			return p, err
		}
	}
	return p, nil
}

// findEndpoint fills the endpoint, if none is given, in the order that AWS
// documents ("Service-specific endpoints"): variables before the profile, and
// the service's before that of all services.
func (o *Options) findEndpoint(ctx context.Context, said aws.Config) error {
	p, err := readPlace(ctx, said)
	if err != nil {
		return err
	}
	if o.Endpoint == "" && !p.ignore {
		o.Endpoint = cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), p.service, aws.ToString(said.BaseEndpoint))
	}
	switch {
	case o.Endpoint != "" && (p.fips || p.dualStack):
		return errors.New("s3backend: an endpoint is set, and the AWS environment or profile asks for a FIPS or dual-stack endpoint of Amazon " +
			"(AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT): set one or the other")
	case o.Endpoint != "":
		return nil
	case o.Region == "":
		return errors.New("s3backend: no region: set Options.Region, AWS_REGION, or region in the AWS profile")
	}
	host := "s3"
	if p.fips {
		host += "-fips"
	}
	if p.dualStack {
		host += ".dualstack"
	}
	o.Endpoint = "https://" + host + "." + o.Region + ".amazonaws.com"
	if strings.HasPrefix(o.Region, "cn-") {
		o.Endpoint += ".cn"
	}
	return nil
}

// trusted returns the certificates of AWS_CA_BUNDLE or of the profile's ca_bundle,
// which the SDK has put into its own client, or nil.
func trusted(said aws.Config) *x509.CertPool {
	client, ok := said.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return nil
	}
	if c := client.GetTransport().TLSClientConfig; c != nil {
		return c.RootCAs
	}
	return nil
}
