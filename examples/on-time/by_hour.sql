-- The first step of `on-time`: DuckDB, on one machine. `$late` is an argument of the job, in minutes; `$MAYFLY_INPUTS` is
-- there by itself, as all variables of the job's that begin so.
CREATE TABLE flights AS
FROM read_csv($MAYFLY_INPUTS || '/flights/part-*.csv', nullstr = 'NA');

-- By the hour in which they should leave.
-- name: by_hour csv
SELECT hour,
       count(*)                            AS flights,
       count(arr_delay)                    AS arrived,
       avg(arr_delay)                      AS mean_arr_delay,
       avg(CAST(arr_delay > $late AS INT)) AS share_late
FROM flights
GROUP BY hour
ORDER BY hour;
