package main

import (
	"context"
	"time"

	"telecommune/billing/commune"
	"telecommune/routing"
)

// leasesAt gives routing what the commune knows of trunks that are its assets: who rents them at an instant and after it.
// Neither of the two knows the other.
func leasesAt(ctx context.Context, c *commune.Store, at time.Time) (routing.Leases, error) {
	tenancies, err := c.Tenancies(ctx, at)
	if err != nil {
		return nil, err
	}
	leases := make(routing.Leases, len(tenancies))
	for i, t := range tenancies {
		leases[i] = routing.Lease(t)
	}
	return leases, nil
}
