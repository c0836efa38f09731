-- seconds -> ids
return redis.call('ZRANGE', CALLS, '-inf', string.format('%.6f', now() - a.seconds), 'BYSCORE')
