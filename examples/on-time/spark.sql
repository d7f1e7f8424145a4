-- When does one fly, if one wants to arrive in time? Statements end with `;`; each result set is printed and saved.
-- Spark itself puts variables of the environment in; every node has the flights in its folder of inputs.
CREATE TEMPORARY VIEW flights
USING csv OPTIONS (path '${env:MAYFLY_INPUTS}/flights/part-*.csv', header true, inferSchema true, nullValue 'NA');

CREATE TEMPORARY VIEW airlines
USING csv OPTIONS (path '${env:MAYFLY_INPUTS}/flights/airlines.csv', header true);

-- By the hour in which they should leave. `:late` is an argument of the job, in minutes.
-- name: by_hour csv
SELECT hour,
       count(*)                            AS flights,
       count(arr_delay)                    AS arrived,
       avg(arr_delay)                      AS mean_arr_delay,
       avg(CAST(arr_delay > :late AS INT)) AS share_late
FROM flights
GROUP BY hour
ORDER BY hour;

-- Without a word after the name it becomes Parquet.
-- name: worst_routes
SELECT name AS airline, origin, dest, count(arr_delay) AS arrived, avg(arr_delay) AS mean_arr_delay
FROM flights JOIN airlines USING (carrier)
GROUP BY name, origin, dest
HAVING count(arr_delay) >= 100
ORDER BY mean_arr_delay DESC, origin, dest
LIMIT 10;
